"""The page's search of a table of faces, chosen by person, emotion and set, in a browser."""

import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from demo.mlflow_ui import MlflowUI
from tests.browser.conftest import Site, Visitor, browser, visitor
from tests.browser.test_page_in_browser import PHONE_PX, check, give
from tests.demo.fakes import FakeRegistry
from tests.demo.search.conftest import ColourNetwork
from tests.demo.test_outcomes_on_the_page import choose
from tests.field.open_page import Visitor as Program
from tests.field.open_page import opened_page
from tests.field.test_28_keyboard import serious
from tests.test_app import until

__all__ = ["browser", "visitor"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SEARCHABLE = "3 faces can be searched."
PERSONS = ("O'Neil <b>", "Ann", "Ann")
EMOTIONS = ("sad", "happy", None)
SETS = ("actors", "actors", "street")


@pytest.fixture(scope="module")
def table(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of the faces of three photos, from dark to bright; one photo is gone."""
    path = tmp_path_factory.mktemp("table") / "faces.parquet"
    photos = sorted(examples.glob("*.jpg"))[:2]
    vectors = [[math.cos(angle), math.sin(angle)] for angle in (0.3, 0.5, 0.7)]
    columns = {
        "file": [*map(str, photos), "gone <i>.jpg"],
        "face": [1, 1, 1],
        "box": [[40.0, 40.0, 200.0, 200.0]] * 3,
        "expression": pa.array(vectors, pa.list_(pa.float32())),
        "version": [1, 1, 1],
        "person": list(PERSONS),
        "emotion": pa.array(EMOTIONS, pa.string()),
        "set": list(SETS),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def site(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    fake = FakeRegistry()
    fake.put("dln", 1, ColourNetwork())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPRESSION_STUDIO_STORE", str(tmp_path_factory.mktemp("store")))
        with opened_page(fake, searched=table) as url:
            assert until(lambda: SEARCHABLE in Program(url).searchable(), 100)
            yield Site(url, MlflowUI(None, taken=0))


def opened(visitor: Visitor, photo: Path, *, width: int = 1280, dark: bool = False) -> Page:
    """Open the page, give it a photo, and open the section."""
    page = visitor.open(width=width, dark=dark)
    give(page, 0, photo)
    expect(page.locator(".crop")).to_have_count(1)
    page.get_by_role("button", name="Search faces.parquet by expression").click()
    expect(page.locator("#search-status")).to_contain_text(SEARCHABLE)
    expect(page.get_by_label("Person", exact=True)).to_be_visible()
    return page


def search(page: Page) -> None:
    page.get_by_role("button", name="Search", exact=True).click()


def test_faces_are_chosen_by_person_emotion_and_set(
    visitor: Visitor, examples: Path, table: Path
) -> None:
    page = opened(visitor, examples / "smiling_05.jpg")
    captions = page.locator("#search-answer figcaption")
    search(page)
    expect(captions).to_have_count(3)
    expect(page.locator("#search-answer")).to_contain_text("The photo is gone")
    expect(page.get_by_role("checkbox", name="Other people first")).to_have_count(0)
    choose(page, "Person", PERSONS[0])
    search(page)
    expect(captions).to_have_count(1)
    expect(captions).to_contain_text("person O'Neil <b>, emotion sad")
    page.wait_for_function("document.querySelector('#search-answer img').naturalWidth === 160")
    choose(page, "Set", "street")
    search(page)
    expect(page.locator("#search-answer")).to_contain_text("No other face has")
    choose(page, "Person", "any")
    search(page)
    expect(captions).to_have_count(1)
    expect(captions).to_contain_text("gone <i>.jpg, person Ann")
    choose(page, "Set", "any")
    choose(page, "Emotion", "happy")
    search(page)
    expect(captions).to_contain_text("person Ann, emotion happy")
    assert str(table.parent) not in page.content()
    assert str(examples) not in page.content()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_its_controls_fit_a_phone_and_axe_finds_nothing_serious(
    visitor: Visitor, examples: Path, dark: bool
) -> None:
    page = opened(visitor, examples / "smiling_05.jpg", width=PHONE_PX, dark=dark)
    search(page)
    expect(page.locator("#search-answer figcaption")).to_have_count(3)
    check(page)
    assert serious(page) == []
