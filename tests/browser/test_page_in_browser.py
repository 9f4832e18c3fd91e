"""What a visitor does and sees, in a real browser, over a real registry."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.fading import measured

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ANSWER, EMOTION = "#triplet-answer h2", "#emotion-answer h2"
PHONE_PX = 375
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.fixture
def people(examples: Path) -> list[Path]:
    return sorted(examples.glob("*.jpg"))[:3]


@pytest.fixture
def two_people(people: list[Path], tmp_path: Path) -> Path:
    both = Image.new("RGB", (480, 320))
    for left, size, person in ((0, 320, people[0]), (320, 160, people[1])):
        both.paste(Image.open(person).convert("RGB").resize((size, size)), (left, 0))
    both.save(tmp_path / "two.png")
    return tmp_path / "two.png"


def give(page: Page, index: int, photo: Path) -> None:
    """Put a photo into one of the visible photo inputs; the first is 0."""
    inputs = page.locator(".photo:visible")
    inputs.nth(index).locator("input[type=file]").set_input_files(photo)


def test_a_bad_photo_gets_a_notice_and_the_others_stay(
    visitor: Visitor, people: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    page = visitor.open()
    give(page, 0, people[0])
    expect(page.locator(".crop")).to_have_count(1)
    give(page, 1, tmp_path / "text.jpg")
    expect(page.get_by_role("alert")).to_contain_text("text.jpg is not a picture")
    expect(page.locator(".photo img[alt]")).to_have_count(1)
    give(page, 1, people[1])
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("#triplet-answer")).to_contain_text("One more photo")
    give(page, 2, people[2])
    expect(page.locator(ANSWER)).to_be_visible()
    page.locator(".photo").first.get_by_label("Remove Image").click()
    expect(page.locator("#triplet-answer")).to_contain_text("One more photo")
    expect(page.locator(".photo img[alt]")).to_have_count(2)


def test_a_picture_of_the_camera_is_checked_like_an_upload(visitor: Visitor) -> None:
    page = visitor.open()
    photo = page.locator(".photo").first
    photo.get_by_label("Capture from camera").click()
    photo.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('.photo video')?.currentTime > 0")
    photo.get_by_label("capture photo").click()
    expect(page.get_by_role("alert")).to_contain_text("No face was found")


def test_faces_are_chosen_by_keyboard(visitor: Visitor, two_people: Path) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Emotion").click()
    give(page, 0, two_people)
    expect(page.locator(EMOTION)).to_contain_text("Face 1:")
    expect(page.locator(".photo:visible img")).to_have_attribute(
        "alt", "Photo with 2 faces, boxed and numbered"
    )
    shares = page.locator("#emotion-answer .share").all_inner_texts()
    values = [int(share.rstrip("%")) for share in shares]
    assert len(values) == 8
    assert values == sorted(values, reverse=True)
    page.get_by_role("radio", name="1").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(EMOTION)).to_contain_text("Face 2:")
    expect(page.locator("#emotion-answer .provenance")).to_contain_text("emotion, version 1")


def test_the_keyboard_reaches_all_and_an_example_answers(visitor: Visitor) -> None:
    page = visitor.open()
    expect(page.locator(".examples:visible button").first).to_be_visible()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.ariaLabel ?? ''"))
        if reached[-1].startswith("Example:"):
            break
    assert reached.count("Drop an image file here to upload") == 3
    assert reached.count("Capture from camera") == 3
    page.keyboard.press("Enter")
    expect(page.locator(ANSWER)).to_be_visible()
    shown = page.locator(".photo img").evaluate_all("all => all.map(image => image.alt)")
    assert shown == [f"Photo {number} with one face, boxed" for number in (1, 2, 3)]
    assert page.locator("img:not([alt])").count() == 0


def test_there_is_nothing_to_transfer_yet_and_the_tab_says_so(visitor: Visitor) -> None:
    page = visitor.open()
    page.get_by_role("tab", name="Transfer").click()
    status = page.locator("#transfer-status")
    expect(status).to_contain_text("No version of pix2pixhd is in production yet")
    expect(status).to_contain_text("python -m registry promote pix2pixhd")
    page.locator(".examples:visible button").first.click()
    page.get_by_role("checkbox", name="people who agree").check()
    expect(page.locator("#transfer-answer .notice")).to_contain_text("No version of pix2pixhd")
    expect(page.locator("#transfer-picture")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_a_phone_and_its_words_are_legible(
    visitor: Visitor, two_people: Path, dark: bool
) -> None:
    page = visitor.open(width=PHONE_PX, dark=dark)
    check(page)
    page.locator(".examples button").first.click()
    expect(page.locator(ANSWER)).to_be_visible()
    check(page)
    page.get_by_role("tab", name="Emotion").click()
    give(page, 0, two_people)
    expect(page.locator(EMOTION)).to_be_visible()
    check(page)


def check(page: Page) -> None:
    """Check that nothing is wider than the window, and all text has WCAG's AA contrast."""
    assert measured(page, "() => document.documentElement.scrollWidth") <= PHONE_PX
    assert measured(page, CONTRAST) == []
