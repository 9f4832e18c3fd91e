"""Leafing through triplets, in a browser: by keyboard, on a phone, in the dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.mlflow_ui import MlflowUI
from demo.models import ModelServer
from demo.page import launch_page
from demo.prepared_photos import PreparedPhotos
from tests.browser.conftest import Site, Visitor, browser, visitor
from tests.browser.test_page_in_browser import PHONE_PX, check
from tests.conftest import unused_port
from tests.demo import evaluated
from tests.field.test_28_keyboard import serious

__all__ = ["browser", "visitor"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
TITLE = "Leaf through evaluated triplets"


@pytest.fixture(scope="module")
def site(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "store").mkdir()
    shutil.copy(migrated, folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("EXPRESSION_STUDIO_STORE", str(folder / "store"))
        evaluated.fill(1)
        evaluated.fill(2)
        photos = PreparedPhotos([evaluated.prepare(folder / "toy")])
        server = ModelServer()
        page = launch_page(server, port=unused_port(), mlflow_url=None, photos=photos)
        yield Site(page.url, MlflowUI(None, taken=0))
        page.close()
        server.close()


def opened(visitor: Visitor, *, width: int = 1280, dark: bool = False) -> tuple[Page, Locator]:
    """Open the page and the section by the keyboard."""
    page = visitor.open(width=width, dark=dark)
    page.get_by_role("button", name=TITLE).focus()
    page.keyboard.press("Enter")
    answer = page.locator("#outcomes-answer")
    expect(answer.locator("h2")).to_have_text("Triplet 1 of 4, one class")
    return page, answer


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a dropdown's own list: the list of the one before fades for a moment beside it."""
    dropdown = page.get_by_label(label, exact=True)
    dropdown.click()
    options = page.locator(f"#{dropdown.get_attribute('aria-controls')}")
    options.get_by_role("option", name=option, exact=True).click()


def test_a_triplet_shows_photos_votes_answers_and_margins(visitor: Visitor) -> None:
    page, answer = opened(visitor)
    assert answer.locator("figcaption").all_inner_texts() == [
        "Anchor anna\n1 of 10 people find it odd",
        "Positive ben\n0 of 10 people find it odd",
        "Negative cleo <b>\n9 of 10 people find it odd",
    ]
    expect(answer.locator("img")).to_have_count(3)
    for photo in answer.locator("img").all():
        expect(photo).to_have_js_property("naturalWidth", 320)
    rows = answer.locator(".versions li")
    assert rows.all_inner_texts() == ["dln/2 finds the negative odd: right, margin +0.500"]
    choose(page, "Beside", "dln/1")
    expect(rows).to_have_count(2)
    assert rows.nth(1).inner_text() == "dln/1 finds the negative odd: right, margin +0.250"


def test_one_leafs_by_keyboard_and_what_is_missing_is_named(visitor: Visitor) -> None:
    page, answer = opened(visitor)
    heading = answer.locator("h2")
    page.locator("#outcomes-next").focus()
    page.keyboard.press("Enter")
    expect(heading).to_have_text("Triplet 2 of 4, two class")
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("Triplet 3 of 4, two class")
    page.keyboard.press("ArrowLeft")
    expect(heading).to_have_text("Triplet 2 of 4, two class")
    for number in (1, 4):
        page.keyboard.press("ArrowLeft")
        expect(heading).to_contain_text(f"Triplet {number} of 4")
    expect(answer).to_contain_text("gone is not on this machine.")
    expect(answer.locator("img")).to_have_count(2)
    expect(answer).to_contain_text("dln/2 finds the positive odd: wrong, margin -0.500")


def test_types_and_disagreements_in_both_directions_are_chosen(visitor: Visitor) -> None:
    page, answer = opened(visitor)
    heading = answer.locator("h2")
    page.get_by_role("radio", name="two class").check()
    expect(heading).to_have_text("Triplet 1 of 2, two class")
    page.get_by_role("radio", name="It is right, the other wrong").check()
    expect(answer).to_contain_text("Choose another version beside it")
    choose(page, "Beside", "dln/1")
    expect(heading).to_have_text("Triplet 1 of 1, two class")
    expect(answer).to_contain_text("8 of 10 people find it odd")
    page.wait_for_function("!document.querySelector('#outcomes-answer .pending')")
    page.get_by_role("radio", name="It is wrong, the other right").check()
    expect(answer).to_contain_text("dln/2 finds the anchor odd: wrong")
    expect(answer).to_contain_text("dln/1 finds the negative odd: right")
    page.get_by_role("radio", name="three class").check()
    expect(answer).to_contain_text("No triplet of this evaluation is of that kind.")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_axe_finds_nothing_serious(visitor: Visitor, dark: bool) -> None:
    page, answer = opened(visitor, width=PHONE_PX, dark=dark)
    choose(page, "Beside", "dln/1")
    expect(answer.locator(".versions li")).to_have_count(2)
    check(page)
    assert serious(page) == []


def test_without_the_option_there_is_nothing_to_leaf_through(
    site: Site,
) -> None:
    del site
    server = ModelServer()
    page = launch_page(server, port=unused_port(), mlflow_url=None)
    shown = str(page.blocks.config)
    page.close()
    server.close()
    assert "Triplet" in shown
    assert TITLE not in shown
