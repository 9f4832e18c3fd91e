"""What the steps of all recipes ask of a GPU, tested without one.

On the meta device tensors have no values: whatever needs one (`.item()`, `float()`, a condition,
the number of chosen rows, a copy to the CPU) raises there. On a GPU all of these make the host
wait.
"""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.training.models.smoke_tasks import NAMES, PIX2PIXHD, register_encoder, smoke_recipe
from training.engine.optimisers import RunningAverage
from training.engine.task import Batch, Networks, Task
from training.loading.augmentation import Augmentation
from training.loading.batches import Faces
from training.models.pix2pixhd.pair_augmentation import augment_alike
from training.recipes import RECIPES, task_of

META = torch.device("meta")
COMPUTED = (
    *("convolution", "upsample", "grid_sampler", "pool", "batch_norm", "reflection_pad"),
    *("addmm", "bmm", "mm", "multinomial", "std_mean", "var_mean"),
)
"""Parts of the names of operators that CUDA refuses an empty input for, or starts for nothing."""


class NoBlockingCopy(TorchDispatchMode):
    """Raises at a copy from the CPU to the device that is not asynchronous: the host waits for it.

    `training.engine.device.send` copies from pinned memory; `constant` copies at its first call.
    """

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = operator(*args, **(kwargs or {}))
        name = operator.overloadpacket.__name__
        if name == "_to_copy" and args[0].device.type == "cpu" and found.device == META:
            assert (kwargs or {}).get("non_blocking"), "a copy to the device that waits for it"
        if name == "copy_" and args[0].device == META:
            assert args[1].device == META or (args[2:] and args[2]), "a copy that waits"
        assert not (name == "lift_fresh" and found.device == META), "numbers copied to the device"
        return found


class NoEmptyInput(TorchDispatchMode):
    """Raises where an operator of COMPUTED gets a tensor without a number."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = operator.overloadpacket.__name__
        if any(part in name for part in COMPUTED):
            self.calls += 1
            assert all(leaf.numel() for leaf in tree_leaves(args) if isinstance(leaf, Tensor)), name
        return operator(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, migrated: Path, drawn: Path) -> Iterator[Path]:
    """Return a folder with the drawn faces; the store holds the encoder of the generators."""
    folder = tmp_path_factory.mktemp("steps")
    shutil.copy(migrated, folder)
    shutil.copytree(drawn, folder / "toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder))
        register_encoder()
        yield folder


def to_meta(task: Task) -> Networks:
    """Return the task's networks in train mode, and move all that it computes with."""
    for name in ("conditions", "encoder", "perceptual"):
        network = getattr(task, name, None)  # the conditions are computed before the encoder moves
        if isinstance(network, nn.Module):
            network.to(META)
    networks = {name: network.to(META).train() for name, network in task.networks.items()}
    for holder in (task, getattr(task, "dataset", None)):
        faces = getattr(holder, "faces", None)
        if isinstance(faces, Faces):
            faces.keep_on(META)
    return networks


def on_meta(batch: Batch) -> Batch:
    return {k: v.to(META) if isinstance(v, Tensor) else v for k, v in batch.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_step_never_waits_for_the_gpu(
    name: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(smoke_recipe(name, runs))
    task.begin(0)
    batches = [batch for batch, _ in zip(task.loader(), range(2), strict=False)]
    networks = to_meta(task)
    optimisers = {key: each.optimiser for key, each in task.optimisations(10).items()}
    averages = {key: RunningAverage(network, 0.9) for key, network in networks.items()}

    def step(batch: Batch) -> None:
        for update in task.step(networks, batch):
            optimisers[update.optimiser].zero_grad()
            update.loss.backward()
            optimisers[update.optimiser].step()
            assert {value.device for value in update.metrics.values()} <= {META}
        for key, network in networks.items():
            averages[key].update_parameters(network)

    # Autocast knows no meta device; only an encoder names the device, to turn autocast off.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    step(on_meta(batches[0]))
    batch = on_meta({k: v for k, v in batches[1].items() if k != "faces"})
    with NoBlockingCopy():
        step(batch)


@pytest.mark.parametrize("name", NAMES)
def test_no_operator_gets_an_empty_batch_however_few_faces_are_chosen(
    name: str, runs: Path
) -> None:
    recipe = smoke_recipe(name, runs)
    smallest = 1 if isinstance(recipe, type(RECIPES[PIX2PIXHD])) else 2
    task = task_of(replace(recipe, batch_size=smallest))
    task.begin(task.recipe.epochs - 1)
    networks = {key: network.train() for key, network in task.networks.items()}
    with NoEmptyInput() as mode:
        for seed, batch in zip(range(8), task.loader(), strict=False):
            torch.manual_seed(seed)
            for update in task.step(networks, batch):
                update.loss.backward()
    assert mode.calls > 100


@pytest.mark.parametrize("name", RECIPES)
def test_no_augmentation_of_a_recipe_computes_an_empty_batch(name: str) -> None:
    augmentation: Augmentation = RECIPES[name].augmentation  # type: ignore[attr-defined]
    with NoEmptyInput() as mode:
        for seed in range(40):
            torch.manual_seed(seed)
            face = torch.randint(256, (1, 3, 24, 24), dtype=torch.uint8)
            augmentation(face)
            augment_alike(augmentation, [face, face], torch.zeros(1, 2, 3, 2))
    assert mode.calls >= 40
