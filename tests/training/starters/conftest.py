"""A small network that is packed as the only starter."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from registry.measurements import Measurement
from training import seed
from training.models.backbones.deviation import BackboneConfig
from training.models.dln.config import NetworkConfig
from training.models.dln.network import DLN
from training.starters import files

COMPACT = NetworkConfig(backbone=BackboneConfig(name="compact"))
DLN_CARD = {
    "model": "dln",
    "recipe": "dln-compact",
    "command": "python -m training train dln-compact --data data/ferplus",
    "data": [{"name": "ferplus", "digest": "d" * 64, "training_faces": 3}],
    "seed": 0,
    "minutes": 1.5,
    "epochs": 2,
    "steps": 7,
    "machine": "CPU, 2 threads",
    "torch": "2.15.0",
    "crop": {"size_px": 48, "margin": 0.05, "roll": True},
    "labels": [],
    "temperature": None,
    "config": {
        "network": {
            "backbone": {"name": "compact", "classes": 8631},
            "dims": 16, "order": 3, "sigmoid": False,
        }
    },
}  # fmt: skip


ACCURACY = Measurement(split="validation", set="ferplus", metric="triplet_accuracy", value=0.5)


def trained() -> DLN:
    """Return a DLN whose branches differ and whose normalisation has statistics of a batch."""
    torch.manual_seed(0)
    network = DLN(COMPACT).train()
    for parameter in network.pair.face.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    network(torch.rand(8, 3, 48, 48))
    return network.eval()


def identity_of(network: DLN) -> dict[str, Tensor]:
    return dict(network.pair.identity.state_dict())


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a packed network with its graph, whose export takes seconds."""
    folder, network = tmp_path_factory.mktemp("starters"), trained()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "FOLDER", folder)
        files.write(files.IDENTITY, identity_of(network), {"recipe": files.IDENTITY}, [])
        files.write("dln-compact", network.state_dict(), DLN_CARD, [ACCURACY])
        seed.write_graphs(files.Starter.open("dln-compact"))
    return folder


@pytest.fixture
def network(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DLN:
    """A network packed as the only starter."""
    shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "STARTERS", ("dln-compact",))
    return trained()
