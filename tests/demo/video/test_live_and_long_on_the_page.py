"""The camera's stream, a video, a zip of photos, a transfer onto a clip: in a browser."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image, ImageEnhance
from playwright.sync_api import Browser, Locator, Page, expect

from demo.marking import SOURCE_TYPE
from demo.mlflow_ui import MlflowUI
from demo.visitor_files import visitor_folder
from tests.browser import chromium
from tests.browser.conftest import Site, Visitor, visitor
from tests.browser.test_page_in_browser import PHONE_PX, check
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.demo.video.clips import write_clip
from tests.field.conftest import emotions
from tests.field.open_page import opened_page
from tests.field.test_28_keyboard import serious

__all__ = ["visitor"]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def person(examples: Path) -> Image.Image:
    """Return a picture of a person who is happy, because it is bright; darker ones are sad."""
    picture = Image.open(examples / "smiling_07.jpg").convert("RGB").resize((480, 480))
    return ImageEnhance.Brightness(picture).enhance(1.3)


@pytest.fixture(scope="module")
def browser(person: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if chromium.path() is None:
        pytest.skip("needs chromium: apt install chromium")
    film = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    wide = Image.new("RGB", (640, 480), "grey")
    wide.paste(person, (80, 0))
    frame = io.BytesIO()
    wide.save(frame, "JPEG", quality=90)
    film.write_bytes(frame.getvalue() * 10)
    with chromium.opened(f"--use-file-for-fake-video-capture={film}") as browser:
        yield browser


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    fake = FakeRegistry()
    fake.put("emotion", 1, emotions)
    fake.put("dln", 1, answers(ALIKE))
    fake.put_transfer(1)
    with opened_page(fake) as url:
        yield Site(url, MlflowUI(None, taken=0))


def opened(
    visitor: Visitor, section: str, tab: str = "Emotion", *, width: int = 1280, dark: bool = False
) -> Page:
    """Open a section of a tab, by keyboard."""
    page = visitor.open(width=width, dark=dark)
    page.get_by_role("tab", name=tab).click()
    button = page.get_by_role("button", name=section)
    button.click(trial=True)  # waits until the tab has come to rest
    button.focus()
    page.keyboard.press("Enter")
    return page


def upload(page: Page, field: str, file: Path) -> None:
    """Choose a file, and wait for its row: while it is sent, its name stands there without one."""
    page.locator(f"{field} input[type=file]").set_input_files(file)
    expect(page.locator(field).get_by_role("cell", name=file.name, exact=True)).to_be_visible()


def press(page: Page, name: str, answer: Locator, text: str) -> None:
    """Press a button until the answer is this: a press counts nothing before the last one ended.

    An event may end some time after its answer has come.
    """
    for _ in range(6):
        page.get_by_role("button", name=name).click()
        with suppress(AssertionError):
            expect(answer).to_contain_text(text, timeout=20_000)
            return
    expect(answer).to_contain_text(text)


def test_the_camera_streams_and_no_frame_is_written_to_disk(visitor: Visitor) -> None:
    before = set(visitor_folder().path.rglob("*"))
    page = opened(visitor, "Live, from the camera")
    page.get_by_role("button", name="Click to Access Webcam").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Record", exact=True).click()
    answer = page.locator("#live-answer")
    expect(answer.locator("h2")).to_contain_text("Happy")
    expect(answer.locator(".provenance")).to_contain_text("emotion, version 1")
    with page.expect_response(lambda response: "/stream/" in response.url) as sent:
        pass
    assert sent.value.ok
    assert serious(page) == []
    page.get_by_text("Stop", exact=True).first.click()
    assert set(visitor_folder().path.rglob("*")) <= before


def test_a_video_becomes_a_plot_and_a_table(
    visitor: Visitor, person: Image.Image, tmp_path: Path
) -> None:
    page = opened(visitor, "A short video")
    dark = ImageEnhance.Brightness(person).enhance(0.3)
    clip = write_clip(tmp_path / "clip.mp4", [person] * 4 + [dark] * 4)
    upload(page, "#video-file", clip)
    page.get_by_role("button", name="Answer over time").click()
    answer = page.locator("#video-answer")
    expect(answer.locator("h2")).to_have_text("One face in 4 frames")
    plot = answer.get_by_role("img", name="The probability of each emotion over time")
    page.wait_for_function("image => image.naturalWidth > 500", arg=plot.element_handle())
    with page.expect_download() as download:
        page.locator("#video").get_by_role("button", name="Download the table").click()
    download.value.save_as(tmp_path / "table.csv")
    rows = pyarrow.csv.read_csv(tmp_path / "table.csv").to_pylist()
    assert [row["happy"] > 0.5 for row in rows] == [True, True, False, False]
    assert serious(page) == []


def test_a_file_that_is_no_video_gets_a_sentence(visitor: Visitor, tmp_path: Path) -> None:
    page = opened(visitor, "A short video")
    answer = page.locator("#video-answer")
    press(page, "Answer over time", answer, "choose a file first")
    (tmp_path / "bad.mp4").write_text("no video")
    upload(page, "#video-file", tmp_path / "bad.mp4")
    press(page, "Answer over time", answer, "bad.mp4 is no video that can be read")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_zip_of_photos_becomes_a_table_on_a_phone_too(
    visitor: Visitor, person: Image.Image, tmp_path: Path, dark: bool
) -> None:
    page = opened(visitor, "Many photos in a zip", width=PHONE_PX, dark=dark)
    photo = io.BytesIO()
    person.save(photo, "PNG")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("=one.png", photo.getvalue())
        archive.writestr("folder/two.png", photo.getvalue())
        archive.writestr("broken <b>.jpg", "no photo")
    upload(page, "#batch-file", tmp_path / "photos.zip")
    page.get_by_role("button", name="Answer all photos").click()
    answer = page.locator("#batch-answer")
    expect(answer.locator("h2")).to_have_text("2 faces in 3 photos")
    expect(answer).to_contain_text("broken <b>.jpg")
    assert str(visitor_folder().path) not in answer.inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download it as Parquet").click()
    download.value.save_as(tmp_path / "table.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert [(row["file"], row["emotion"]) for row in rows] == [
        ("'=one.png", "happy"),
        ("folder/two.png", "happy"),
    ]
    check(page)
    assert serious(page) == []


def test_a_clip_is_changed_after_consent_and_can_be_downloaded(
    visitor: Visitor, person: Image.Image, tmp_path: Path
) -> None:
    page = opened(visitor, "On a short clip", "Transfer")
    clip = write_clip(tmp_path / "clip.mp4", [person] * 3)
    upload(page, "#clip-file", clip)
    answer = page.locator("#clip-answer")
    press(page, "Make the clip", answer, "Tick above that the people")
    page.get_by_role("checkbox", name="people who agree").check()
    press(page, "Make the clip", answer, "Add a photo above of the expression")
    page.get_by_role("radio", name="neutral").check()
    press(page, "Make the clip", answer, "3 of 3 frames")
    expect(answer.locator("h2")).to_have_text("The face is changed in 3 of 3 frames")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the clip").click()
    download.value.save_as(tmp_path / "new.mp4")
    with av.open(str(tmp_path / "new.mp4")) as container:
        assert SOURCE_TYPE in container.metadata["comment"]
    assert serious(page) == []
