"""A transfer by a visitor: consent, the picture, its strength, the file to download."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from demo.marking import SOURCE_TYPE
from demo.tabs.examples import PAIRS, paths
from registry import promotion
from registry.catalog import PIX2PIXHD
from tests.browser import networks
from tests.browser.conftest import Site, Visitor
from tests.browser.test_page_in_browser import PHONE_PX, check, give

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ANSWER = "#transfer-answer h2"


@pytest.fixture(scope="module")
def people(examples: Path) -> list[Path]:
    return [examples / "sad_01.jpg", examples / "smiling_07.jpg"]


@pytest.fixture(scope="module", autouse=True)
def a_version(site: Site) -> None:
    site.wait_for_version(PIX2PIXHD.name, networks.fill_transfer())


def opened(visitor: Visitor, *, width: int = 1280, dark: bool = False) -> Page:
    """Open the tab, once the version promoted while the page was open answers there."""
    page = visitor.open(width=width, dark=dark)
    page.get_by_role("tab", name="Transfer").click()
    expect(page.locator("#transfer-status .answer")).to_have_count(0)
    return page


def agree(page: Page) -> None:
    page.get_by_role("checkbox", name="people who agree").check()


def test_two_photos_give_a_picture_after_consent_and_again_at_another_strength(
    visitor: Visitor, people: list[Path]
) -> None:
    page = opened(visitor)
    for index, photo in enumerate(people):
        give(page, index, photo)
    expect(page.locator("#transfer-answer")).to_contain_text("Tick that the people")
    agree(page)
    expect(page.locator(ANSWER)).to_contain_text("nearer to the expression")
    expect(page.locator("#transfer-picture img")).to_have_count(2)
    expect(page.locator("#transfer-answer .provenance")).to_contain_text("pix2pixhd, version 1")
    whole = page.locator(ANSWER).inner_text()
    page.get_by_role("slider").focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(ANSWER)).not_to_have_text(whole)
    half = page.locator("#transfer-answer .share").all_inner_texts()
    assert 0 < float(half[1]) < float(half[0])
    page.get_by_role("button", name="Model card of pix2pixhd").click()
    expect(page.locator(".sheet")).to_contain_text("Results of pix2pixhd version 1")
    expect(page.locator(".sheet img")).to_be_visible()
    page.get_by_role("radio", name="neutral").check()
    expect(page.locator("#transfer-answer .share")).to_have_count(3)
    expect(page.locator(".photo:visible")).to_have_count(1)


def test_the_file_to_download_is_a_marked_png_of_the_photos_size(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = opened(visitor)
    agree(page)
    page.locator(".examples:visible button").nth(1).click()
    expect(page.locator(ANSWER)).to_be_visible()
    expect(page.get_by_role("button", name="Download")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as PNG").click()
    assert download.value.suggested_filename == "expression-transfer_pix2pixhd-v1_strength1.png"
    download.value.save_as(tmp_path / "made.png")
    made = Image.open(tmp_path / "made.png")
    (person, _) = paths(*PAIRS[1])
    assert (made.format, made.size) == ("PNG", Image.open(person).size)
    assert SOURCE_TYPE in made.info["XML:com.adobe.xmp"]
    assert not made.getexif()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_transfer_fits_a_phone_and_its_words_are_legible(visitor: Visitor, dark: bool) -> None:
    page = opened(visitor, width=PHONE_PX, dark=dark)
    check(page)
    agree(page)
    page.locator(".examples:visible button").first.click()
    expect(page.locator(ANSWER)).to_be_visible()
    page.get_by_role("button", name="Show all strengths").click()
    expect(page.locator(".strip img")).to_have_count(6)
    check(page)


@pytest.fixture
def farther(site: Site) -> Iterator[None]:
    """Let a version answer that moves away from the expression, for one test."""
    site.wait_for_version(PIX2PIXHD.name, networks.fill_transfer(reach=-0.5))
    yield
    promotion.promote(PIX2PIXHD.name, 1)


@pytest.mark.usefixtures("farther")
def test_a_result_that_fails_is_shown_with_a_plain_warning(visitor: Visitor) -> None:
    page = opened(visitor)
    agree(page)
    page.locator(".examples:visible button").first.click()
    expect(page.locator(ANSWER)).to_be_visible()
    expect(page.locator("#transfer-answer .notice").first).to_contain_text("no nearer to the")
    expect(page.locator("#transfer-picture img")).to_have_count(2)
