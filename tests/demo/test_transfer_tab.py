"""The Transfer tab: what it still needs, what it shows, and the file to download."""

import base64
import io
from pathlib import Path

import gradio as gr
import pytest
from PIL import ExifTags, Image

from demo.marking import SOURCE_TYPE
from demo.models import ModelServer
from demo.photo_reader import PhotoReader
from demo.tabs.context import PageContext
from demo.tabs.transfer import MAX_SHOWN_PX, TransferTab
from demo.tabs.transfer_request import ADD_PERSON, ADD_PHOTOS, ASK_CONSENT, NEUTRAL, OTHERS
from demo.transfer import STRIP_STRENGTHS
from demo.visitor_files import visitor_folder
from registry import versions
from tests.demo.fakes import FakeRegistry

READER = PhotoReader()


@pytest.fixture
def transfer(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> TransferTab:
    monkeypatch.setattr(versions, "card", lambda reference: f"The card of {reference}.")
    registry.put_transfer(5)
    visitor_folder()
    with gr.Blocks():
        return TransferTab(PageContext(server=ModelServer(None), mlflow_url=None, reader=READER))


@pytest.fixture
def people(examples: Path) -> list[Path]:
    return [examples / "sad_01.jpg", examples / "smiling_07.jpg"]


def test_photos_and_consent_come_before_a_picture(
    transfer: TransferTab, people: list[Path]
) -> None:
    person, other = (READER.read(path) for path in people)
    for values, sentence in (
        ((None, None, other, 0, OTHERS, 1.0, True), ADD_PHOTOS),
        ((person, 0, None, None, OTHERS, 1.0, True), ADD_PHOTOS),
        ((None, None, other, 0, NEUTRAL, 1.0, True), ADD_PERSON),
        ((person, 0, other, 0, OTHERS, 1.0, False), ASK_CONSENT),
    ):
        column, pair, result, html, *_ = transfer.reply(*values)
        assert (column.visible, pair, result) == (False, None, None)
        assert sentence in html
        assert transfer.show_strip(*values) == ""


def test_pictures_are_marked_and_the_file_has_the_photos_size(
    transfer: TransferTab, people: list[Path], tmp_path: Path
) -> None:
    large = Image.open(people[0]).convert("RGB").resize((2400, 2400))
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "the person"
    large.save(tmp_path / "large.jpg", exif=exif)
    person, other = (
        READER.read(tmp_path / "large.jpg"),
        READER.read(people[1]),
    )
    values = (person, 0, other, 0, OTHERS, 0.75, True)
    column, (before, after), result, html, *_ = transfer.reply(*values)
    assert column.visible
    assert "pix2pixhd, version 5" in html
    assert f"{result.metrics.after:.2f}" in html
    source, shown = Image.open(before), Image.open(after)
    assert source.format == shown.format == "JPEG"
    assert source.size == shown.size == (MAX_SHOWN_PX, MAX_SHOWN_PX)
    assert SOURCE_TYPE.encode() in shown.info["xmp"]
    assert not source.getexif()
    picture = Image.open(transfer.write_file(result))
    assert picture.size == (2400, 2400)
    assert not picture.getexif()
    assert SOURCE_TYPE in picture.info["XML:com.adobe.xmp"]
    assert Path(picture.filename).is_relative_to(visitor_folder().path)
    strip = transfer.show_strip(*values)
    assert [f'strength {s:g}"' in strip for s in STRIP_STRENGTHS] == [True] * len(STRIP_STRENGTHS)
    with pytest.raises(gr.Error, match="gone"):
        transfer.write_file(None)


def test_a_result_that_fails_is_shown_with_its_warning(
    transfer: TransferTab, registry: FakeRegistry, people: list[Path]
) -> None:
    person, other = (READER.read(path) for path in people)
    registry.put_transfer(6, thresholds={"nearer": 1.1})
    column, _, result, html, *_ = transfer.reply(person, 0, other, 0, OTHERS, 1.0, True)
    assert column.visible
    assert result.warnings[0] in html
    assert html.count('class="notice"') == 1


@pytest.mark.parametrize(("least", "failing"), [(0.0, 0), (1.1, 16)])
def test_the_card_shows_results_for_the_synthetic_people(
    transfer: TransferTab, registry: FakeRegistry, least: float, failing: int
) -> None:
    registry.put_transfer(6, thresholds={"nearer": least})
    text = transfer.show_sheet()
    assert "pix2pixhd version 6" in text
    assert ("16 of 16 fail" in text) == bool(failing)
    picture = Image.open(io.BytesIO(base64.b64decode(text.partition("base64,")[2].split('"')[0])))
    assert SOURCE_TYPE.encode() in picture.info["xmp"]
    side = picture.width // 5
    edges = [picture.getpixel((side * x + 1, side * y + 8)) for x in range(5) for y in range(5)]
    assert sum(red > 150 and green < 90 for red, green, _ in edges) == failing


def test_the_status_says_why_there_is_no_transfer_until_there_is_one(
    transfer: TransferTab, registry: FakeRegistry
) -> None:
    version = registry.production.pop("pix2pixhd")
    assert "No version of pix2pixhd is in production yet" in transfer.status_html()
    registry.production["pix2pixhd"] = version
    assert transfer.status_html() == ""
