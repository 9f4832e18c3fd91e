"""A page over a registry in memory, whose networks answer what a test wants; shared fixtures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from demo.mlflow_ui import MlflowUI
from demo.models import ModelServer
from demo.page import launch_page
from registry import versions
from registry.catalog import EMOTIONS
from tests.browser.conftest import Site, browser, visitor
from tests.conftest import unused_port
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.registry.conftest import register, restored_logging, tiny
from tests.training.engine.conftest import line, recipe, runs
from tests.training.models.pix2pixhd.conftest import toy

__all__ = [
    "browser",
    "line",
    "recipe",
    "register",
    "restored_logging",
    "runs",
    "tiny",
    "toy",
    "visitor",
]
MLFLOW = "http://127.0.0.1:5000"


def emotions(faces: Tensor) -> dict[str, Tensor]:
    """Answer happy for a bright face, sad for a dark one."""
    bright = faces.mean((1, 2, 3)) > 0.5
    labels = torch.where(bright, EMOTIONS.index("happy"), EMOTIONS.index("sad"))
    return {"logits": 5.0 * torch.eye(len(EMOTIONS))[labels]}


@contextmanager
def opened(fake: FakeRegistry) -> Iterator[Site]:
    """Open the page over a registry in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "resolve", fake.resolve)
        patch.setattr(versions, "load", fake.load)
        patch.setattr(versions, "card", lambda reference: f"The card of {reference}.")
        server = ModelServer(poll_seconds=0.2)
        page = launch_page(server, port=unused_port(), mlflow_url=MLFLOW)
        yield Site(page.url, MlflowUI(None, taken=0), server)
        page.close()
        server.close()


@pytest.fixture(scope="module")
def fake() -> FakeRegistry:
    """Return a registry with a version of each model in production."""
    fake = FakeRegistry()
    fake.put("dln", 1, answers(ALIKE))
    fake.put("emotion", 1, emotions)
    fake.put_transfer(1)
    return fake


@pytest.fixture(scope="module")
def site(fake: FakeRegistry) -> Iterator[Site]:
    with opened(fake) as site:
        yield site


@pytest.fixture(scope="session")
def group(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a photo of three people: the second from the left is the largest, the last smallest.

    The first is dark, the others are bright.
    """
    people = ("sad_01", "smiling_07", "surprised_00")
    picture = Image.new("RGB", (1200, 480), "grey")
    for place, (name, side) in enumerate(zip(people, (300, 420, 240), strict=True)):
        person = Image.open(examples / f"{name}.jpg").convert("RGB").resize((side, side))
        shaded = ImageEnhance.Brightness(person).enhance(1.3 if place else 0.5)
        picture.paste(shaded, (place * 400, 20))
    path = tmp_path_factory.mktemp("group") / "group.png"
    picture.save(path)
    return path


@pytest.fixture
def terminal(
    fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored_logging: None
) -> FakeRegistry:
    """Let the terminal's commands use a registry in memory, and a store's folder of their own."""
    assert restored_logging is None
    monkeypatch.setattr(versions, "resolve", fake.resolve)
    monkeypatch.setattr(versions, "load", fake.load)
    monkeypatch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path / "store"))
    return fake
