"""Work for benchmarks/kills.py whose networks are so small that they are exported in a second."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import kills
from benchmarks.kills import Kind
from registry.catalog import EMOTION
from tests.browser.networks import CROP, Tiny
from tests.training.engine.line import LineRecipe, LineTask
from training.engine.task import Networks, TrainedModel

STARTER = "emotion-tiny"


def pack_starter(folder: Path) -> None:
    """Write the files of a tiny starter, whose card is that of the shipped one."""
    from training import seed
    from training.starters import files

    card = {**files.Starter.open(files.EMOTION).card, "name": STARTER, "crop": asdict(CROP)}
    files.FOLDER = folder / "starters"
    files.FOLDER.mkdir()
    network = TinyStarter(card)
    files.write(files.identity_of(card), network.pair["identity"].state_dict(), {}, [])
    files.write(STARTER, network.state_dict(), card, [])
    seed.NETWORKS = {STARTER: TinyStarter}
    seed.write_graphs(files.Starter.open(STARTER))


def seed_starter(folder: Path) -> None:
    """Register the tiny starter."""
    from training import seed
    from training.starters import files

    files.FOLDER = folder / "starters"
    files.STARTERS = (STARTER,)  # type: ignore[assignment]
    seed.NETWORKS = {STARTER: TinyStarter}
    kills.seed(folder)


class TinyStarter(Tiny):
    """A tiny network with a part that is stored as another starter, as the shipped ones have."""

    def __init__(self, _card: Any) -> None:
        super().__init__(3, {"logits": len(EMOTION.labels)})
        torch.manual_seed(3)
        self.pair = nn.ModuleDict({"identity": nn.Linear(8, 8).half().float()})

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {"logits": self.pair["identity"](super().forward(faces)["logits"])}


class WholeLineTask(LineTask):
    """Exports a network with the line's slope in its weights."""

    def export(self, networks: Networks) -> TrainedModel:
        network = Tiny(1, {"expression": 16, "identity": 8})
        network.maps["expression"].data += networks["line"].get_parameter("line.weight")
        return TrainedModel(network=network, config={"network": {}}, crop=CROP)


def train_line(folder: Path) -> None:
    """Train a line, with checkpoints, and register it."""
    from training.recipes import TASKS
    from training.train import train

    TASKS[LineRecipe] = WholeLineTask  # type: ignore[index]
    train("line", LineRecipe(runs=folder / "runs", seed=1), "")


SEEDING = Kind("seeding", pack_starter, seed_starter, kills.compare_registries, resumes=False)
TRAINING = Kind("training", kills.nothing, train_line, kills.compare_registries, resumes=False)
