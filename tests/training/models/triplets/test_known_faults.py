"""Faults of public FECNet copies that spoil a training in silence: pictures, modes, order."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.models.triplets.few_faces import TRAIN, VALIDATION, picture, source
from training.datasets.prepare import prepare
from training.engine.loop import Loop
from training.engine.recipe import Recipe
from training.engine.task import Task
from training.loading.augmentation import Augmentation
from training.loading.batches import batches
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.recipes import RECIPES, task_of

UNCHANGED = Augmentation(**{one.name: 0.0 for one in fields(Augmentation)})


class Probe(nn.Module):
    """Tells what it is asked and in which mode, and answers with what it can learn at once."""

    def __init__(self, tell: Callable[[bool, Tensor], None]) -> None:
        super().__init__()
        self.tell = tell
        self.free = nn.Parameter(torch.randn(16))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        self.tell(self.training, faces.detach().clone())
        answer = faces.new_ones(len(faces), 1) * self.free
        return {"expression": nn.functional.normalize(answer, dim=1), "logits": answer[:, :8]}


class Unlogged(Loop):
    """The loop without MLflow, which has no part in these faults."""

    def _track(self) -> None:
        return None


@dataclass
class Run:
    """A finished training: the rows of each step, and what a probe in its network's place saw."""

    task: Task
    loop: Loop
    rows: list[Tensor] = field(default_factory=list)
    modes: list[bool] = field(default_factory=list)
    faces: list[Tensor] = field(default_factory=list)

    def probe(self) -> Probe:
        """Return a probe whose copies, such as a running average, tell this run too."""

        def tell(mode: bool, faces: Tensor) -> None:
            self.modes.append(mode)
            self.faces.append(faces)

        return Probe(tell)

    def epochs(self) -> list[list[int]]:
        """Return the order of the training faces, epoch by epoch."""
        seen = torch.cat(self.rows).reshape(self.loop.recipe.epochs, -1)
        order: list[list[int]] = seen.tolist()
        return order


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    prepare("ferplus", source(folder / "source"), folder / "data")
    return folder / "data"


@pytest.fixture
def few(data: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """Return a smoke recipe's like on the few faces, unchanged and in batches of eight."""

    def recipe(name: str, **said: object) -> Recipe:
        given = {"data": (data,), "batch_size": 8, "epochs": 2, "augmentation": UNCHANGED} | said
        return replace(RECIPES[name], toy=False, runs=tmp_path, **given)

    return recipe


def run(recipe: Recipe, *, probed: bool = False, task: Task | None = None) -> Run:
    """Train to the end, with a probe instead of the model's network if asked."""
    task = task or task_of(recipe)
    made = Run(task, None)  # type: ignore[arg-type]
    step = task.step

    def noted(networks: dict[str, nn.Module], batch: dict[str, Tensor]) -> object:
        made.rows.append(batch["index"].cpu())
        return step(networks, batch)

    task.step = noted  # type: ignore[method-assign, assignment]
    if probed:
        assert task.spec is not None
        network = {"emotion": "classifier"}.get(task.spec.name, task.spec.name)
        vars(task)[network] = made.probe()
    made.loop = Unlogged("known-faults", recipe, task)
    made.loop.run()
    return made


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
def test_a_network_learns_and_is_judged_on_the_files_own_rgb_in_the_right_mode(
    few: Callable[..., Recipe], name: str, averaging: float
) -> None:
    made = run(few(name, averaging=averaging), probed=True)
    assert made.modes == [True, True, True, False] * 2, "three steps and one validation an epoch"
    for mode, faces, rows in zip(made.modes, made.faces, with_gaps(made.rows), strict=True):
        shown = [TRAIN[row] for row in rows] if mode else VALIDATION
        torch.testing.assert_close(faces.cpu(), as_rgb(shown), atol=2e-5, rtol=0)


def with_gaps(rows: list[Tensor]) -> list[Tensor]:
    """Return the steps' rows with nothing in each validation's place."""
    none = torch.zeros(0, dtype=torch.long)
    return [*rows[:3], none, *rows[3:], none]


def test_a_stored_and_read_again_face_keeps_its_colours() -> None:
    down, right = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    face = torch.stack([down * 5, right * 5, down * 0 + 40])[None].to(torch.uint8)
    again = replace(UNCHANGED, jpeg=1.0)(face)
    assert (again - face.float() / 255).abs().mean((0, 2, 3)).max() < 0.1


def test_the_papers_backbone_normalises_once_and_keeps_channels_and_pixels_apart() -> None:
    seen: list[Tensor] = []
    network = InceptionResnetV1().eval()
    network.conv2d_1a.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    faces = torch.rand(1, 3, 80, 80)
    with torch.inference_mode():
        network(faces)
    torch.testing.assert_close(seen[0], (faces * 255 - 127.5) / 128)


@pytest.mark.parametrize(
    ("name", "frozen", "learned"),
    [("dln-smoke", "pair.identity.", "pair.face."), ("fecnet-smoke", "face.", "head.")],
)
def test_a_training_moves_no_bit_of_the_frozen_network_nor_of_its_running_average(
    few: Callable[..., Recipe], name: str, frozen: str, learned: str
) -> None:
    recipe = few(name, averaging=0.5, epochs=1, weight_decay=0.1)
    task = task_of(recipe)
    network = task.networks[name.partition("-")[0]]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    made = run(recipe, task=task)
    averaged = made.loop.trained_networks()[name.partition("-")[0]]
    for after in (network.state_dict(), averaged.state_dict()):
        moved = {key for key, value in after.items() if not torch.equal(value.cpu(), before[key])}
        assert not {key for key in moved if key.startswith(frozen)}
        assert {key for key in moved if key.startswith(learned) and key.endswith("running_mean")}
        assert {key for key in moved if key.startswith(learned) and key.endswith("weight")}
    branch = network.get_submodule(frozen.rstrip("."))
    network.train()
    assert not any(module.training for module in branch.modules()), "no dropout, no drift"
    assert not any(parameter.requires_grad for parameter in branch.parameters())


@pytest.mark.parametrize("name", ["dln-smoke", "fecnet-smoke"])
def test_every_epoch_and_seed_draws_its_own_order(few: Callable[..., Recipe], name: str) -> None:
    first, second = run(few(name), probed=True).epochs()
    other, _ = run(few(name, seed=1), probed=True).epochs()
    assert len({tuple(order) for order in (first, second, other)}) == 3
    assert all(order != sorted(order) for order in (first, second, other))
    assert len(set(first) | set(second) | set(other)) > len(TRAIN) * 3 // 4


def test_without_weights_an_epoch_shows_every_face_once_in_an_order_of_its_own(
    few: Callable[..., Recipe],
) -> None:
    first, second = run(few("emotion-smoke"), probed=True).epochs()
    assert sorted(first) == sorted(second) == list(range(len(TRAIN)))
    assert first != second
    assert sorted(first) not in (first, second)
    fresh = batches(task_of(few("emotion-smoke")).loader().dataset, size=len(TRAIN))
    orders = [tuple(batch["index"].tolist()) for _ in range(3) for batch in fresh]
    assert len(set(orders)) == 3
