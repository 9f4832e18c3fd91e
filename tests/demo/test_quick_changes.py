"""A photo that is replaced while the one before is answered gets its own answer."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance
from playwright.sync_api import expect
from torch import Tensor

from tests.browser.conftest import Site, Visitor, browser, visitor
from tests.browser.test_page_in_browser import give
from tests.demo.fakes import FakeRegistry
from tests.demo.test_models import until
from tests.field.conftest import emotions, opened

__all__ = ["browser", "visitor"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


class Gated:
    """Is happy about bright faces and sad about dark ones, while its gate is open."""

    def __init__(self) -> None:
        self.gate, self.asked = threading.Event(), 0
        self.gate.set()

    def __call__(self, faces: Tensor) -> Mapping[str, Tensor]:
        self.asked += 1
        assert self.gate.wait(100)
        return emotions(faces)


@pytest.fixture(scope="module")
def network() -> Gated:
    return Gated()


@pytest.fixture(scope="module")
def site(network: Gated) -> Iterator[Site]:
    fake = FakeRegistry()
    fake.put("emotion", 1, network)
    with opened(fake) as site:
        yield site
        network.gate.set()


def test_the_answer_is_about_the_photo_that_is_shown(
    visitor: Visitor, network: Gated, examples: Path, tmp_path: Path
) -> None:
    person = Image.open(examples / "smiling_07.jpg").convert("RGB")
    for name, brightness in (("dark", 0.5), ("bright", 1.3)):
        ImageEnhance.Brightness(person).enhance(brightness).save(tmp_path / f"{name}.png")
    page = visitor.open()
    page.get_by_role("tab", name="Emotion").click()
    visitor.site.wait_for_version("emotion", 1)  # it is checked
    network.gate.clear()
    checked = network.asked
    give(page, 0, tmp_path / "dark.png")
    assert until(lambda: network.asked > checked)
    crop = page.locator(".crop:visible img")
    before = crop.get_attribute("src") or ""
    give(page, 0, tmp_path / "bright.png")
    expect(crop).not_to_have_attribute("src", before)
    network.gate.set()
    expect(page.locator("#emotion-answer h2")).to_contain_text("Happy")
