"""`prepare` killed for good goes on where it was; what photos say of places is in no crop."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from PIL.ExifTags import GPS, IFD, Base

from benchmarks import kills
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared

pytestmark = pytest.mark.xdist_group("kills")
SECRET = "Grandmother's garden"


def prepare_and_die(left: int, name: str, folder: Path) -> None:
    """Prepare drawn faces and die when the n-th file of a name is written and not yet renamed."""
    rename = Path.replace

    def killed_at(part: Path, target: Path) -> Path:
        nonlocal left
        left -= str(target).endswith(name)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(part, target)

    Path.replace = killed_at  # type: ignore[assignment,method-assign]
    prepare("toy", None, folder / "toy", workers=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("whole") / "toy"
    prepare("toy", None, folder)
    return Prepared.open(folder)


@pytest.mark.parametrize(("count", "name"), [(120, ".png"), (1, "index.parquet"), (1, "report.md")])
def test_a_killed_run_loses_and_doubles_nothing(
    count: int, name: str, whole: Prepared, tmp_path: Path
) -> None:
    dest = tmp_path / "toy"
    for each in ("store", "tmp"):
        (tmp_path / each).mkdir()
    assert kills.run(partial(prepare_and_die, count, name), tmp_path, 120) == -signal.SIGKILL
    before = {f: f.stat().st_mtime_ns for f in dest.glob("crops/[!.]*")}
    assert len(before) >= 119
    assert not (dest / "report.md").exists()
    report = prepare("toy", None, dest)
    again = Prepared.open(dest)
    assert again.digest == whole.digest
    assert report.faces == len(again.index) == again.index["name"].nunique() == 288
    assert all(file.stat().st_mtime_ns == then for file, then in before.items())
    files = {str(f.relative_to(dest)) for f in dest.rglob("*") if f.is_file()}
    assert files == {
        str(f.relative_to(whole.folder)) for f in whole.folder.rglob("*") if f.is_file()
    }


def test_no_file_of_a_prepared_set_tells_where_a_photo_was_taken(
    examples: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = exif[Base.Artist] = SECRET
    exif.get_ifd(IFD.Exif)[Base.UserComment] = SECRET
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (48.0, 12.0, 30.5)
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSAreaInformation] = SECRET
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", SECRET)
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
    source = tmp_path / "mine" / "train" / "happy"
    source.mkdir(parents=True)
    with Image.open(next(examples.glob("*.jpg"))) as photo:
        photo.save(source / "1.jpg", exif=exif, xmp=xmp, comment=SECRET.encode())
        photo.save(source / "2.png", exif=exif, pnginfo=text)
        photo.resize((48, 48)).save(source / "3.webp", exif=exif, xmp=xmp)
    assert all(SECRET.encode() in file.read_bytes() for file in source.iterdir())
    for name in ("folder", "fer2013"):
        prepare(name, tmp_path / "mine", tmp_path / name, workers=1)
        crops = list((tmp_path / name / "crops").iterdir())
        assert len(crops) >= 2
        for crop in crops:
            with Image.open(crop) as picture:
                assert not picture.getexif()
                assert "xmp" not in picture.info
        for file in (tmp_path / name).rglob("*.*"):
            assert SECRET.encode() not in file.read_bytes()
            assert b"GPS" not in file.read_bytes()
