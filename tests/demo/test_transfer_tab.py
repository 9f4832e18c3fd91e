"""The Transfer tab's functions: what it asks for, shows, and keeps."""

import base64
import io
from pathlib import Path

import gradio as gr
import pytest
from PIL import ExifTags, Image

from demo.marking import SOURCE_TYPE
from demo.models import ModelServer
from demo.predictors import look
from demo.tabs.house import PageContext
from demo.tabs.transfer import (
    ASK,
    ASK_CONSENT,
    ASK_PERSON,
    NEUTRAL,
    OTHERS,
    SHOWN_PX,
    TransferTab,
)
from demo.transfer import STEPS
from registry import versions
from registry.faces import FaceCropper
from tests.demo.fakes import FakeRegistry

CROPPER = FaceCropper()


@pytest.fixture
def transfer(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TransferTab:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    monkeypatch.setattr(versions, "card", lambda reference: f"The card of {reference}.")
    registry.put_transfer(5)
    with gr.Blocks():
        return TransferTab(PageContext(served=ModelServer(None), mlflow_url=None, cropper=CROPPER))


@pytest.fixture
def people(examples: Path) -> list[Path]:
    return [examples / "sad_01.jpg", examples / "smiling_07.jpg"]


def test_the_transfer_tab_asks_for_photos_and_for_consent(
    transfer: TransferTab, people: list[Path]
) -> None:
    person, other = (look(path, CROPPER) for path in people)
    for given, asked in (
        ((None, None, other, 0, OTHERS, 1.0, True), ASK),
        ((person, 0, None, None, OTHERS, 1.0, True), ASK),
        ((None, None, other, 0, NEUTRAL, 1.0, True), ASK_PERSON),
        ((person, 0, other, 0, OTHERS, 1.0, False), ASK_CONSENT),
    ):
        seen, pair, kept, text, *_ = transfer.reply(*given)
        assert (seen.visible, pair, kept) == (False, None, None)
        assert asked in text
        assert transfer.show_strip(*given) == ""


def test_the_transfer_tab_shows_marked_pictures_and_keeps_the_photos_size(
    transfer: TransferTab, people: list[Path], tmp_path: Path
) -> None:
    large = Image.open(people[0]).convert("RGB").resize((2400, 2400))
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "the person"
    large.save(tmp_path / "large.jpg", exif=exif)
    person, other = look(tmp_path / "large.jpg", CROPPER), look(people[1], CROPPER)
    given = (person, 0, other, 0, OTHERS, 0.75, True)
    seen, (before, after), kept, text, *_ = transfer.reply(*given)
    assert seen.visible
    assert "pix2pixhd, version 5" in text
    assert f"{kept.metrics.after:.2f}" in text
    source, shown = Image.open(before), Image.open(after)
    assert source.format == shown.format == "JPEG"
    assert source.size == shown.size == (SHOWN_PX, SHOWN_PX)
    assert SOURCE_TYPE.encode() in shown.info["xmp"]
    assert not source.getexif()
    made = Image.open(transfer.write(kept))
    assert made.size == (2400, 2400)
    assert not made.getexif()
    assert SOURCE_TYPE in made.info["XML:com.adobe.xmp"]
    assert Path(made.filename).is_relative_to(tmp_path / "sent")
    strip = transfer.show_strip(*given)
    assert [f'strength {s:g}"' in strip for s in STEPS] == [True] * len(STEPS)
    with pytest.raises(gr.Error, match="gone"):
        transfer.write(None)


def test_a_result_that_fails_is_shown_with_its_warning(
    transfer: TransferTab, registry: FakeRegistry, people: list[Path]
) -> None:
    person, other = (look(path, CROPPER) for path in people)
    registry.put_transfer(6, thresholds={"nearer": 1.1})
    seen, _, kept, text, *_ = transfer.reply(person, 0, other, 0, OTHERS, 1.0, True)
    assert seen.visible
    assert kept.warnings[0] in text
    assert text.count('class="notice"') == 1


@pytest.mark.parametrize(("least", "failing"), [(0.0, 0), (1.1, 16)])
def test_the_card_shows_what_the_version_makes_of_the_synthetic_people(
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


def test_the_tab_says_why_there_is_no_transfer_and_falls_silent_once_there_is(
    transfer: TransferTab, registry: FakeRegistry
) -> None:
    version = registry.production.pop("pix2pixhd")
    assert "No version of pix2pixhd is in production yet" in transfer.told_status()
    registry.production["pix2pixhd"] = version
    assert transfer.told_status() == ""
