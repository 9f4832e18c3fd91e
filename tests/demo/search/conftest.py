"""A folder of photos whose vectors follow from their colours, and a network that gives them."""

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from tests.demo.fakes import FakeRegistry

Shade = Callable[[Path, float], Path]


class ColourNetwork:
    """Gives each face its brightness as expression and its redness as identity, and counts faces.

    With a `stop` it is interrupted, as by Ctrl-C, at that face.
    """

    def __init__(self) -> None:
        self.faces = 0
        self.stop: int | None = None

    def __call__(self, faces: Tensor) -> dict[str, Tensor]:
        self.faces += len(faces)
        if self.stop is not None and self.faces >= self.stop:
            raise KeyboardInterrupt
        red, green, blue = faces.mean((2, 3)).unbind(1)
        return {"expression": on_circle(green), "identity": on_circle(2 * (red - blue))}


def on_circle(values: Tensor) -> Tensor:
    angles = values * math.pi / 2
    return torch.stack([angles.cos(), angles.sin()], 1)


@pytest.fixture
def network(registry: FakeRegistry) -> ColourNetwork:
    network = ColourNetwork()
    registry.put("dln", 3, network)
    network.faces = 0
    return network


@pytest.fixture
def shade(examples: Path) -> Shade:
    """Return a function that writes a photo of one person, as bright as told."""

    def write(path: Path, brightness: float) -> Path:
        person = Image.open(examples / "sad_06.jpg").convert("RGB")
        ImageEnhance.Brightness(person).enhance(brightness).save(path, "PNG")
        return path

    return write


@pytest.fixture
def folder(tmp_path: Path, shade: Shade) -> Path:
    """Return a folder with three photos of one person, from dark to bright."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, brightness in (("dark", 0.5), ("middle", 0.8), ("bright", 1.2)):
        shade(folder / f"{name}.png", brightness)
    return folder


@pytest.fixture
def prepared(folder: Path, tmp_path: Path) -> Path:
    """Return a prepared set "actors" with those photos: two persons, a quote in one's name."""
    place = tmp_path / "actors"
    place.mkdir()
    folder.rename(place / "crops")
    rows = {"dark": ("Ann", 2), "middle": ("O'Neil", 2), "bright": ("O'Neil", None)}
    table = pa.table(
        {
            "path": [f"crops/{name}.png" for name in rows],
            "person": [person for person, _ in rows.values()],
            "emotion": pa.array([emotion for _, emotion in rows.values()], pa.int32()),
            "split": ["train"] * len(rows),
        }
    )
    named = table.replace_schema_metadata({"set": "actors"})
    pq.write_table(named, place / "index.parquet")
    return place


@pytest.fixture
def query(tmp_path: Path, shade: Shade) -> Path:
    """Return a photo that is darkest of all."""
    return shade(tmp_path / "query.png", 0.4)
