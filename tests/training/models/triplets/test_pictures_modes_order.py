"""Faults of public FECNet copies that spoil a training without an error.

Networks get other pixels than the files hold, run in the wrong mode, or see faces in a fixed order;
frozen networks change.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from registry.measurements import Measurement
from tests.training.models.triplets.few_faces import TRAIN, VALIDATION, picture, source
from training.datasets.prepare import prepare
from training.engine.loop import Loop
from training.engine.optimisers import optimisation
from training.engine.recipe import Recipe
from training.engine.task import (
    Batch,
    Networks,
    Optimisation,
    SummaryRow,
    Task,
    TrainedModel,
    Update,
)
from training.loading.augmentation import Augmentation
from training.loading.batches import batches
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.recipes import RECIPES, task_of

UNCHANGED = Augmentation(**{one.name: 0.0 for one in fields(Augmentation)})

pytestmark = pytest.mark.usefixtures("store")


@dataclass
class Inputs:
    """The inputs of a network during a training."""

    rows: list[Tensor] = field(default_factory=list)
    """The dataset's row numbers of each step."""
    modes: list[bool] = field(default_factory=list)
    """For each forward pass: whether the network was in train mode."""
    faces: list[Tensor] = field(default_factory=list)
    """The faces of each forward pass."""

    def epochs(self, count: int) -> list[list[int]]:
        """Return the rows of each epoch in their order."""
        order: list[list[int]] = torch.cat(self.rows).reshape(count, -1).tolist()
        return order


class Probe(nn.Module):
    """Replaces a network: records its inputs, and outputs a vector that it can learn.

    Its copies, such as a running average, record too: `record` is a function, which isn't copied.
    """

    def __init__(self, record: Callable[[bool, Tensor], None]) -> None:
        super().__init__()
        self.record = record
        self.free = nn.Parameter(torch.randn(16))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        self.record(self.training, faces.detach().clone())
        vectors = faces.new_ones(len(faces), 1) * self.free
        return {"expression": nn.functional.normalize(vectors, dim=1), "logits": vectors[:, :8]}


class ProbedTask(Task):
    """Wraps a task, with a probe instead of its network."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.recipe)
        assert task.spec is not None
        self.task, self.spec, self.crop = task, task.spec, task.crop
        self.inputs = inputs = Inputs()

        def record(mode: bool, faces: Tensor) -> None:
            inputs.modes.append(mode)
            inputs.faces.append(faces)

        self.probed = {**task.networks, task.spec.name: Probe(record)}

    @property
    def networks(self) -> dict[str, nn.Module]:
        return self.probed

    def optimisations(self, steps: int) -> dict[str, Optimisation]:
        parameters = [p for network in self.probed.values() for p in network.parameters()]
        assert self.spec is not None
        return {self.spec.name: optimisation(self.recipe, parameters, steps, "adamw", "constant")}

    def loader(self) -> DataLoader[Any]:
        return self.task.loader()

    def step(self, networks: Networks, batch: Batch) -> Iterator[Update]:
        self.inputs.rows.append(batch["index"].cpu())
        yield from self.task.step(networks, batch)

    def validate(self, networks: Networks) -> list[Measurement]:
        return self.task.validate(networks)

    def summary_rows(self) -> dict[str, SummaryRow]:
        return self.task.summary_rows()

    def export(self, networks: Networks) -> TrainedModel:
        return self.task.export(networks)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    prepare("ferplus", source(folder / "source"), folder / "data")
    return folder / "data"


@pytest.fixture
def few(data: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Return a function: a -smoke recipe on the few faces, unaugmented, in batches of eight."""

    def recipe(name: str, **changed: object) -> Recipe:
        values = {"data": (data,), "batch_size": 8, "epochs": 2, "augmentation": UNCHANGED}
        return replace(RECIPES[name], toy=False, runs=tmp_path, **(values | changed))

    return recipe


def inputs_of(recipe: Recipe) -> Inputs:
    """Train a probe to the end and return its inputs."""
    task = ProbedTask(task_of(recipe))
    Loop("probe", recipe, task).run()
    return task.inputs


def as_rgb(names: list[str]) -> Tensor:
    """Return the files' pixels, channel by channel, in [0, 1]."""
    found = torch.empty(len(names), 3, *picture(names[0]).shape[:2])
    for at, name in enumerate(names):
        for channel in range(3):
            found[at, channel] = torch.from_numpy(picture(name)[:, :, channel] / np.float32(255))
    return found


@pytest.mark.parametrize(
    ("name", "averaging"), [("dln-smoke", 0.0), ("fecnet-smoke", 0.5), ("emotion-smoke", 0.0)]
)
def test_a_network_gets_the_files_own_rgb_in_the_right_mode(
    few: Callable[..., Recipe], name: str, averaging: float
) -> None:
    inputs = inputs_of(few(name, averaging=averaging))
    assert inputs.modes == [True, True, True, False] * 2, "three steps and a validation per epoch"
    rows = iter(inputs.rows)
    for mode, faces in zip(inputs.modes, inputs.faces, strict=True):
        names = [TRAIN[row] for row in next(rows)] if mode else VALIDATION
        torch.testing.assert_close(faces.cpu(), as_rgb(names), atol=2e-5, rtol=0)


def test_jpeg_augmentation_keeps_the_colours() -> None:
    down, right = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    face = torch.stack([down * 5, right * 5, down * 0 + 40])[None].to(torch.uint8)
    compressed = replace(UNCHANGED, jpeg=1.0)(face)
    assert (compressed - face.float() / 255).abs().mean((0, 2, 3)).max() < 0.1


def test_the_papers_backbone_normalises_each_pixel_once() -> None:
    inputs: list[Tensor] = []
    network = InceptionResnetV1().eval()
    network.conv2d_1a.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    faces = torch.rand(1, 3, 80, 80)
    with torch.inference_mode():
        network(faces)
    torch.testing.assert_close(inputs[0], (faces * 255 - 127.5) / 128)


@pytest.mark.parametrize(
    ("name", "frozen", "learned"),
    [("dln-smoke", "pair.identity.", "pair.face."), ("fecnet-smoke", "face.", "head.")],
)
def test_a_training_does_not_change_the_frozen_network_or_its_running_average(
    few: Callable[..., Recipe], name: str, frozen: str, learned: str
) -> None:
    recipe = few(name, averaging=0.5, epochs=1, weight_decay=0.1)
    task = task_of(recipe)
    network = task.networks[name.partition("-")[0]]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    loop = Loop(name, recipe, task)
    loop.run()
    averaged = loop.trained_networks()[name.partition("-")[0]]
    for after in (network.state_dict(), averaged.state_dict()):
        changed = {key for key, value in after.items() if not torch.equal(value.cpu(), before[key])}
        assert not {key for key in changed if key.startswith(frozen)}
        assert {key for key in changed if key.startswith(learned) and key.endswith("running_mean")}
        assert {key for key in changed if key.startswith(learned) and key.endswith("weight")}
    branch = network.get_submodule(frozen.rstrip("."))
    network.train()
    assert not any(module.training for module in branch.modules()), "no dropout, no drift"
    assert not any(parameter.requires_grad for parameter in branch.parameters())


@pytest.mark.parametrize("name", ["dln-smoke", "fecnet-smoke"])
def test_every_epoch_and_seed_draws_its_own_order(few: Callable[..., Recipe], name: str) -> None:
    first, second = inputs_of(few(name)).epochs(2)
    other, _ = inputs_of(few(name, seed=1)).epochs(2)
    assert len({tuple(order) for order in (first, second, other)}) == 3
    assert all(order != sorted(order) for order in (first, second, other))
    assert len(set(first) | set(second) | set(other)) > len(TRAIN) * 3 // 4


def test_without_weights_each_epoch_has_every_face_once_in_its_own_order(
    few: Callable[..., Recipe],
) -> None:
    first, second = inputs_of(few("emotion-smoke")).epochs(2)
    assert sorted(first) == sorted(second) == list(range(len(TRAIN)))
    assert first != second
    assert sorted(first) not in (first, second)
    fresh = batches(task_of(few("emotion-smoke")).loader().dataset, size=len(TRAIN))
    orders = [tuple(batch["index"].tolist()) for _ in range(3) for batch in fresh]
    assert len(set(orders)) == 3
