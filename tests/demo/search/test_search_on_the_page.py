"""The search section of the Triplet tab, in a browser: by keyboard, on a phone, in the dark."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageEnhance
from playwright.sync_api import Page, expect

from demo.mlflow_ui import MlflowUI
from tests.browser.conftest import Site, Visitor, browser, visitor
from tests.browser.test_page_in_browser import PHONE_PX, check, give
from tests.demo.fakes import FakeRegistry
from tests.demo.search.conftest import ColourNetwork
from tests.field.open_page import Visitor as Program
from tests.field.open_page import opened_page
from tests.field.test_28_keyboard import serious
from tests.test_app import until

__all__ = ["browser", "visitor"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SEARCHABLE = "3 faces can be searched. 1 photos"


@pytest.fixture(scope="module")
def searched(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three photos, from dark to bright, and one that is broken."""
    folder = tmp_path_factory.mktemp("searched") / "holiday <b>"
    folder.mkdir()
    person = Image.open(examples / "sad_06.jpg").convert("RGB")
    for name, brightness in (("dark", 0.5), ("middle", 0.8), ("bright", 1.2)):
        ImageEnhance.Brightness(person).enhance(brightness).save(folder / f"{name} <i>.png")
    (folder / "broken.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def site(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    fake = FakeRegistry()
    fake.put("dln", 1, ColourNetwork())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path_factory.mktemp("store")))
        with opened_page(fake, searched=searched) as url:
            assert until(lambda: SEARCHABLE in Program(url).searchable(), 100)
            yield Site(url, MlflowUI(None, taken=0))


def opened(visitor: Visitor, *, width: int = 1280, dark: bool = False) -> Page:
    """Open the page and the section by the keyboard."""
    page = visitor.open(width=width, dark=dark)
    section = page.get_by_role("button", name="Search holiday <b> by expression")
    section.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#search-status")).to_contain_text(SEARCHABLE)
    return page


def test_the_nearest_faces_are_shown_with_their_distances_by_keyboard_alone(
    visitor: Visitor, searched: Path
) -> None:
    page = opened(visitor)
    answer = page.locator("#search-answer")
    page.get_by_role("button", name="Search", exact=True).focus()
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("Add photo 1 above")
    give(page, 0, searched / "dark <i>.png")
    expect(page.locator(".crop")).to_have_count(1)
    page.get_by_role("radio", name="Photo 1").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    captions = answer.locator("figcaption")
    expect(captions).to_have_count(2)
    assert [text.split(" ", 1)[1] for text in captions.all_inner_texts()] == [
        "middle <i>.png, perhaps the same person",
        "bright <i>.png, perhaps the same person",
    ]
    assert float(captions.nth(0).locator("b").inner_text()) > 0
    for photo in answer.locator("img").all():
        page.wait_for_function("image => image.naturalWidth > 0", arg=photo.element_handle())
    assert str(searched) not in page.content()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_axe_finds_nothing_serious(
    visitor: Visitor, examples: Path, dark: bool
) -> None:
    page = opened(visitor, width=PHONE_PX, dark=dark)
    give(page, 2, examples / "smiling_05.jpg")
    expect(page.locator(".crop")).to_have_count(1)
    page.get_by_role("radio", name="Photo 3").check()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#search-answer figcaption")).to_have_count(3)
    check(page)
    assert serious(page) == []


def test_a_visitor_can_not_name_another_folder_or_fetch_a_photo_by_its_path(
    site: Site, searched: Path
) -> None:

    photo = next(searched.glob("dark*"))
    answer = httpx.get(f"{site.page_url}/gradio_api/file={photo}", trust_env=False, timeout=60)
    assert answer.status_code == 403
