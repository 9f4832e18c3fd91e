"""What a photo's file says of place and time is in no answer and in no picture of ours."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from demo.visitor_files import visitor_folder
from tests.demo.fakes import ALIKE, FakeRegistry, answers
from tests.field.open_page import Visitor, happy, opened_page

pytestmark = pytest.mark.xdist_group("page")
SECRET = "Grandmother's garden"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    fake = FakeRegistry()
    fake.put("dln", 1, answers(ALIKE))
    fake.put("emotion", 1, happy)
    fake.put_transfer(1)
    with opened_page(fake) as url:
        yield Visitor(url)


@pytest.fixture
def photo(examples: Path, tmp_path: Path) -> Path:
    """Return a photo that says where, when and by whom it was taken, in each way a JPEG can."""
    exif = Image.Exif()
    exif[Base.ImageDescription] = exif[Base.Artist] = SECRET
    exif.get_ifd(IFD.Exif)[Base.UserComment] = SECRET
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (48.0, 12.0, 30.5)
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSAreaInformation] = SECRET
    with Image.open(next(examples.glob("*.jpg"))) as picture:
        picture.save(tmp_path / "photo.jpg", exif=exif, xmp=XMP, comment=SECRET.encode())
    assert (tmp_path / "photo.jpg").read_bytes().count(SECRET.encode()) >= 5
    return tmp_path / "photo.jpg"


def test_no_answer_and_no_picture_tells_where_a_photo_was_taken(
    visitor: Visitor, photo: Path
) -> None:
    uploaded = visitor.upload(photo)
    before = set(visitor_folder().path.rglob("*.*"))
    given = [
        visitor.answer("compare", [uploaded] * 3 + [1, 1, 1]),
        visitor.answer("emotion", [uploaded, None]),
        visitor.answer("embed", [uploaded, None]),
        visitor.answer("transfer", [uploaded, uploaded, 1.0, 1, 1]),
        shown_on_the_page(visitor, uploaded),
    ]
    assert all(isinstance(each, list) for each in given)
    text = json.dumps(given)
    assert SECRET not in text
    assert "GPS" not in text
    made = set(visitor_folder().path.rglob("*.*")) - before
    assert {".png", ".jpeg"} <= {path.suffix for path in made}
    for path in made:
        assert SECRET.encode() not in path.read_bytes(), path.name
        with Image.open(path) as picture:
            exif = picture.getexif()
            assert not exif.get_ifd(IFD.GPSInfo)
            assert Base.DateTime not in exif


def shown_on_the_page(visitor: Visitor, uploaded: dict[str, Any]) -> list[Any]:
    """Return what the page shows for a photo: it with its boxes, and the face."""
    visitor.join(visitor.event_index("load_upload"), [uploaded])
    done = next(m for m in visitor.messages() if m["msg"] == "process_completed")
    assert done["success"]
    return list(done["output"]["data"])
