"""Where a result is farther by its blendshapes, a lower strength that comes nearer is offered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect

from demo.__main__ import main
from demo.api import ExpressionModels
from demo.models import ModelServer
from demo.photo_reader import PhotoReader
from demo.predictors import Photo
from demo.tabs.context import PageContext
from demo.tabs.transfer import TransferTab
from demo.tabs.transfer_request import NEUTRAL, OTHERS
from demo.transfer import BAD, ExpressionTransfer
from demo.visitor_files import visitor_folder
from tests.browser.conftest import browser, new_page
from tests.browser.networks import TinyEncoder
from tests.demo import lower_strengths
from tests.demo.fakes import FakeRegistry
from tests.field.open_page import opened_page

__all__ = ["browser"]
READER = PhotoReader()
FACES = (0, 0)


@pytest.fixture
def people(examples: Path) -> tuple[Photo, Photo]:
    return READER.read(examples / "sad_01.jpg"), READER.read(examples / "smiling_07.jpg")


@pytest.fixture
def transfer(registry: FakeRegistry) -> ExpressionTransfer:
    lower_strengths.put(registry)
    return ExpressionTransfer(ModelServer(poll_seconds=None))


def test_a_result_that_goes_too_far_is_warned_of_and_the_nearest_lower_strength_is_found(
    transfer: ExpressionTransfer, people: tuple[Photo, Photo]
) -> None:
    whole = transfer.transfer(*people)
    before, after = whole.metrics.blendshapes_before, whole.metrics.blendshapes_after
    assert before is not None
    assert after == pytest.approx(1.2 * before, abs=0.1 * before)
    assert whole.sentence == BAD
    assert f"its distance is {after:.2f}, where the source's is {before:.2f}" in whole.warnings[0]
    assert whole.to_dict()["blendshapes_after"] == after
    assert transfer.nearer_strength(*people, FACES, whole) == 0.5
    half = transfer.transfer(*people, strength=0.5)
    assert half.warnings == ()
    assert transfer.nearer_strength(*people, FACES, half) is None


def test_a_neutral_face_is_checked_and_offered_alike(
    transfer: ExpressionTransfer, people: tuple[Photo, Photo]
) -> None:
    neutral = transfer.transfer(people[1], None)
    assert neutral.sentence == BAD
    assert transfer.nearer_strength(people[1], None, FACES, neutral) == 0.5


def test_a_version_without_blendshapes_is_checked_by_its_own_encoder(
    registry: FakeRegistry, transfer: ExpressionTransfer, people: tuple[Photo, Photo]
) -> None:
    tiny = TinyEncoder().requires_grad_(False)
    thresholds = {"nearer": 1.1, "blendshapes_nearer": -9.0}
    registry.put_transfer(2, encoder=tiny, thresholds=thresholds)
    old = ExpressionTransfer(ModelServer(poll_seconds=None))
    answer = old.transfer(*people)
    assert "nearer, where at least 110% is expected" in answer.warnings[0]
    assert "blendshapes_after" not in answer.to_dict()
    assert old.nearer_strength(*people, FACES, answer) is None
    assert old.nearer_strength(*people, FACES, transfer.transfer(*people)) is None


@pytest.mark.usefixtures("transfer")
def test_the_terminal_and_the_api_name_it(
    examples: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = [str(examples / name) for name in ("sad_01.jpg", "smiling_07.jpg")]
    command = ["transfer", *photos, "-o", str(tmp_path / "made.png"), "--local"]
    assert main(command) == 0
    assert "strength 0.5 comes nearer: --strength 0.5" in capsys.readouterr().out
    assert main([*command, "--strength", "0.5"]) == 0
    assert "comes nearer" not in capsys.readouterr().out
    assert ExpressionModels().transfer(*photos).nearer_strength == 0.5


def test_the_tab_offers_it_only_for_the_result_that_is_asked_for_now(
    transfer: ExpressionTransfer, people: tuple[Photo, Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.versions.card", lambda reference: f"The card of {reference}.")
    visitor_folder()
    with gr.Blocks():
        server = ModelServer(None)
        tab = TransferTab(PageContext(server=server, mlflow_url=None, reader=READER))
    answer = transfer.transfer(*people)

    def offered(result: Any, strength: float, target: str = OTHERS) -> tuple[Any, Any]:
        values = (people[0], 0, people[1], 0, target, strength, True)
        return tab.offer_strength(result, *values)

    strength, button = offered(answer, 1.0)
    assert (strength, button.visible) == (0.5, True)
    assert button.value == "Strength 0.5 comes nearer: show it"
    for result, chosen in ((answer, 0.8), (None, 1.0)):
        strength, button = offered(result, chosen)
        assert (strength, button.visible) == (None, False)
    *_, strength, button = tab.reply(people[0], 0, people[1], 0, NEUTRAL, 1.0, True)
    assert (strength, button.visible) == (None, False)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    fake = FakeRegistry()
    lower_strengths.put(fake)
    with opened_page(fake) as url:
        yield url


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_a_click_on_the_offer_moves_the_slider_and_shows_that_result(
    browser: Browser, url: str
) -> None:
    page = new_page(browser, url)
    page.get_by_role("tab", name="Transfer").click()
    page.get_by_role("checkbox", name="people who agree").check()
    page.locator(".examples:visible button").nth(0).click()
    expect(page.locator("#transfer-answer h2")).to_have_text(BAD)
    offer = page.get_by_role("button", name="comes nearer: show it")
    expect(offer).to_be_visible()
    offer.click()
    expect(page.locator("#transfer-answer h2")).to_contain_text("likeness to the person")
    expect(page.get_by_role("slider")).to_have_value("0.5")
    expect(offer).to_be_hidden()
    page.close()
