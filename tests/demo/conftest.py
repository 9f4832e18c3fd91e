"""What the tests of the demo share: a registry in memory, and photos of people."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from registry import versions
from registry.catalog import EMOTIONS
from tests.demo.fakes import ALIKE, FakeRegistry, answers


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    fake = FakeRegistry()
    monkeypatch.setattr(versions, "resolve", fake.resolve)
    monkeypatch.setattr(versions, "load", fake.load)
    return fake


@pytest.fixture(scope="session")
def people(examples: Path) -> list[Path]:
    """Return three photos of one person each."""
    return sorted(examples.glob("*.jpg"))[:3]


@pytest.fixture
def two_people(people: list[Path], tmp_path: Path) -> Path:
    """Return a photo of one person beside another who is half as large."""
    first, second = (Image.open(path).convert("RGB").resize((320, 320)) for path in people[:2])
    both = Image.new("RGB", (480, 320))
    both.paste(first, (0, 0))
    both.paste(second.resize((160, 160)), (320, 80))
    both.save(tmp_path / "two.png")
    return tmp_path / "two.png"


@pytest.fixture
def photos(people: list[Path]) -> list[str]:
    """Return the photos of `people` as arguments of a command."""
    return [str(path) for path in people]


@pytest.fixture
def group(two_people: Path) -> str:
    """Return the photo of `two_people` as an argument of a command."""
    return str(two_people)


@pytest.fixture
def models(registry: FakeRegistry) -> FakeRegistry:
    """Put a version of each model into production; see ALIKE for the embedding of each photo."""

    def happy(faces: Tensor) -> dict[str, Tensor]:
        return {"logits": (5.0 * torch.eye(8)[EMOTIONS.index("happy")]).expand(len(faces), 8)}

    registry.put("dln", 3, answers(ALIKE))
    registry.put("emotion", 2, happy)
    registry.put_transfer(4)
    return registry


@pytest.fixture
def text(tmp_path: Path) -> str:
    """Return the path of a text file with the name of a photo."""
    (tmp_path / "text.jpg").write_text("not a picture")
    return str(tmp_path / "text.jpg")


@pytest.fixture
def nobody(tmp_path: Path) -> str:
    """Return the path of a photo without a face."""
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(tmp_path / "nobody.png")
    return str(tmp_path / "nobody.png")


@pytest.fixture
def log_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Return the folder where commands write their log; handlers they add are removed."""
    store = tmp_path_factory.mktemp("logged")
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(store))
    before = list(logging.getLogger().handlers)
    yield store / "logs"
    for handler in set(logging.getLogger().handlers) - set(before):
        logging.getLogger().removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)
