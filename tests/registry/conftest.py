"""A network of a few numbers and what is needed to register it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import ModelProto
from torch import Tensor, nn

from registry import measurements, store, versions
from registry.catalog import ModelSpec
from registry.crops import CropSpec
from registry.graphs.export import export_onnx
from registry.graphs.export_parts import freeze_parts
from registry.measurements import Measurement

CROP = CropSpec(size_px=32, margin=0.1)
SPEC = ModelSpec(
    name="dln",
    title="Tiny",
    purpose="Is registered in tests.",
    outputs={"expression": "batch 4, unit length", "identity": "batch 8"},
    crop=CROP,
)
ACCURACY = Measurement(split="validation", set="", metric="accuracy", value=0.75)
Register = Callable[..., versions.Version]


class Tiny(nn.Module):
    """Two outputs, a buffer, batch normalisation and a layer used under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(8, 4)
        self.same_linear = self.linear
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        features = self.norm(self.convolution(faces - self.mean)).relu().mean((2, 3))
        expression = self.same_linear(self.dropout(features))
        return {"expression": nn.functional.normalize(expression, dim=1), "identity": features}


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny()


@pytest.fixture(scope="session")
def exported(operators: None) -> ModelProto:
    """The ONNX graph of the tiny network."""
    assert operators is None
    torch.manual_seed(0)
    (part,) = freeze_parts(SPEC, Tiny(), None, CROP.size_px)
    return export_onnx(part, SPEC)


@pytest.fixture
def register(fresh_store: Path, tiny: Tiny) -> Register:
    """Register the tiny network, in a run of its own."""
    assert fresh_store.is_dir()

    def _register(network: nn.Module = tiny, **changes: Any) -> versions.Version:
        client = store.connect()
        run = client.create_run(store.experiment("dln"))
        measurements.write(run.info.run_id, [ACCURACY])
        arguments: dict[str, Any] = {
            "crop": CROP,
            "run_id": run.info.run_id,
            "config": {"width": 4, "layers": [1, 2]},
            "description": "Tiny and quick.\n\nKnows *nothing* [really].",
        }
        return versions.register(SPEC, network, **(arguments | changes))

    return _register


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Remove the handlers that a test adds to the root logger."""
    logger = logging.getLogger()
    before = list(logger.handlers)
    yield
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)
