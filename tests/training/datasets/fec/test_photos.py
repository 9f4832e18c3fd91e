import io
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.conftest import unused_port
from tests.training.datasets.fec.photo_server import (
    PhotoServer,
    delayed,
    replying,
    sending,
    serving,
)
from tests.training.datasets.fec.rows import flickr, row, write_parts
from training.datasets.fec import photos, reader
from training.datasets.fec.downloads import RateLimits, download
from training.datasets.fec.face_crops import MARGIN, FaceCrops, cut_square
from training.datasets.fec.fec_csv import TYPES
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared, PreparedError


def test_the_square_is_cut_around_its_box_also_at_the_photos_edge() -> None:
    photo = np.zeros((400, 800, 3), np.uint8)
    photo[100:200, 300:360] = 255
    found = np.asarray(cut_square(photo, (300 / 800, 360 / 800, 0.25, 0.5)))
    side = round(100 * (1 + MARGIN))
    assert found.shape == (side, side, 3)
    bright = np.argwhere(found[..., 0] > 0)
    assert bright.min(0).tolist() == [40, 60]
    assert bright.max(0).tolist() == [139, 119]
    corner = np.asarray(cut_square(photo + np.uint8(9), (0.0, 0.05, 0.0, 0.1)))
    assert corner.shape == (72, 72, 3)
    assert (corner == 9).all()
    assert cut_square(photo, (0.0, 1.0, 0.0, 1.0)).size == (412, 412)
    assert cut_square(photo, (0.5, 0.501, 0.5, 0.501)).size == (16, 16)


def test_half_written_pictures_of_a_killed_run_are_deleted(tmp_path: Path) -> None:
    photo = np.full((64, 64, 3), 128, np.uint8)
    face_crops = FaceCrops(tmp_path)
    face_crops.write("whole", photo, (0.2, 0.8, 0.2, 0.8))
    for name in (".part-0.jpg", ".part-1.png"):
        (tmp_path / name).write_bytes(b"half a picture")
    assert face_crops.names() == {"whole"}
    assert [file.name for file in tmp_path.iterdir()] == ["whole.png"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, examples: Path) -> Iterator[PhotoServer]:
    """Serve sixteen photos of eight faces, each of another brightness; every fourth is gone."""
    monkeypatch.setenv("no_proxy", "*")
    faces = [Image.open(file).convert("RGB") for file in sorted(examples.glob("*.jpg"))]
    with serving() as server:
        server.answers = {
            f"/{n}_x_b.jpg": sending(relight(faces[n % 8], n)) if n % 4 else replying(404)
            for n in range(16)
        }
        yield server


def relight(face: Image.Image, number: int) -> bytes:
    """Return a photo that differs from all others: equal ones in two splits would be dropped."""
    content = io.BytesIO()
    ImageEnhance.Brightness(face).enhance(0.8 + number / 120).save(content, "JPEG", quality=95)
    return content.getvalue()


def write_set(server: PhotoServer, folder: Path, count: int) -> Path:
    """Return a set whose triplets show consecutive photos; one photo has two faces."""
    at = [server.at(f"/{n}_x_b.jpg") for n in range(count)]
    rows = [row((at[n], at[n + 1], at[n + 2])) for n in range(count - 2)]
    rows += [row((at[1], at[2], at[3]), box="0.1,0.9,0.1,0.9")]
    return write_parts(folder, train=rows, test=[row((at[1], at[2], at[3]), kind=TYPES[1])])


def read_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_the_report_counts_triplets_whose_photos_are_gone(
    server: PhotoServer, tmp_path: Path
) -> None:
    source, dest = write_set(server, tmp_path / "fec", 12), tmp_path / "data"
    report = prepare("fec", source, dest, workers=1, options=reader.FecOptions(keep_photos=True))
    data = Prepared.open(dest)
    assert len(data.index) == 9 + 3
    assert data.index["face_confidence"].notna().mean() > 0.5, "synthetic faces are found"
    assert set(data.index["split"]) == {"train", "test"}
    assert data.triplets is not None
    assert data.answers is not None
    assert data.triplets["split"].value_counts().to_dict() == {"train": 2, "test": 1}
    assert (data.triplets["answer"] == 3).all()
    assert len(data.answers) == 18
    assert data.answers["triplet"].max() == 2
    text = (dest / "report.md").read_text()
    assert "Of 12 photos: 9 ok, 3 gone." in report.notes
    assert "Found of test: 3 of 3 photos, 6 of 6 faces and 1 of 1 triplets" in text
    assert "--keep-photos" in text
    originals = {file.stem: file for file in (dest / "originals").iterdir()}
    assert len(originals) == 9
    assert set(server.hits.values()) == {1}
    elsewhere = reader.FecOptions(photos=dest / "originals")
    prepare("fec", source, tmp_path / "again", workers=1, options=elsewhere)
    assert Prepared.open(tmp_path / "again").digest == data.digest
    assert set(server.hits.values()) == {1}, "a folder of photos is enough"
    later = reader.FecOptions(photos=dest / "originals", keep_photos=True)
    prepare("fec", source, tmp_path / "again", workers=1, options=later)
    assert read_files(tmp_path / "again" / "originals") == read_files(dest / "originals")


def test_photos_in_a_folder_are_named_after_the_last_part_of_their_address(
    examples: Path, tmp_path: Path
) -> None:
    source = write_parts(tmp_path / "fec", test=[row(flickr(1, 2, 3)), row(flickr(4, 5, 6))])
    (tmp_path / "photos").mkdir()
    for n in (1, 2, 3, 4):
        shutil.copy(examples / "sad_01.jpg", tmp_path / "photos" / f"{n:04d}_ab_b.jpg")
    (tmp_path / "photos" / "0005_ab_b.jpg").write_bytes(b"no picture")
    options = reader.FecOptions(photos=tmp_path / "photos")
    report = prepare("fec", source, tmp_path / "data", workers=1, options=options)
    assert "Of 6 photos: 4 ok, 1 no picture, 1 not in the folder." in report.notes
    assert report.faces == 4, "also faces of incomplete triplets"


def test_a_file_name_that_fits_two_addresses_is_not_used(examples: Path, tmp_path: Path) -> None:
    two = ("http://a.example/x/1.jpg", "http://a.example/y/1.jpg", "http://a.example/2.jpg")
    (tmp_path / "photos").mkdir()
    shutil.copy(examples / "sad_01.jpg", tmp_path / "photos" / "1.jpg")
    options = reader.FecOptions(photos=tmp_path / "photos")
    with pytest.raises(
        PreparedError, match=r"^No photo of fec is available: 3 not in the folder; .*\?$"
    ):
        prepare(
            "fec",
            write_parts(tmp_path / "fec", test=[row(two)]),
            tmp_path / "data",
            options=options,
        )


def test_a_missing_connection_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = RateLimits(first_delay_seconds=0.01, interval_seconds=0.0)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(photos, "download", lambda *args: download(*args[:3], quick))
    nobody = f"http://127.0.0.1:{unused_port()}"
    rows = [row(tuple(f"{nobody}/{3 * n + i}.jpg" for i in range(3))) for n in range(20)]
    source = write_parts(tmp_path / "fec", train=rows)
    sentence = r"^No photo of fec is available: 60 unreachable; check the connection[^\n]*\.$"
    with pytest.raises(PreparedError, match=sentence):
        prepare("fec", source, tmp_path / "data")


def test_the_central_face_is_cropped_not_the_largest(examples: Path, tmp_path: Path) -> None:
    large = Image.open(examples / "sad_01.jpg").convert("RGB").resize((500, 500))
    small = Image.open(examples / "smiling_05.jpg").convert("RGB").resize((300, 300))
    photo = Image.new("RGB", (900, 500), "gray")
    photo.paste(large, (400, 0))
    photo.paste(small, (50, 100))
    (tmp_path / "photos").mkdir()
    for n in (1, 2, 3):
        photo.save(tmp_path / "photos" / f"{n:04d}_ab_b.jpg")
    box = f"{50 / 900:.6f},{350 / 900:.6f},0.200000,0.800000"
    source = write_parts(tmp_path / "fec", test=[row(flickr(1, 2, 3), box=box)])
    options = reader.FecOptions(photos=tmp_path / "photos")
    prepare("fec", source, tmp_path / "data", workers=1, options=options)
    index = Prepared.open(tmp_path / "data").index
    assert index["face_confidence"].notna().all()
    left, top, right, bottom = index["box"][0]
    assert max(right - left, bottom - top) < 300
    assert left < 412 / 2 < right


def test_a_killed_run_continues_and_downloads_nothing_twice(
    server: PhotoServer, tmp_path: Path
) -> None:
    source = write_set(server, tmp_path / "fec", 16)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    prepare("fec", source, whole, workers=1)
    first_hits = Counter(server.hits)
    server.hits.clear()
    gate = threading.Event()
    for path in [f"/{n}_x_b.jpg" for n in range(8, 16)]:
        server.answers[path] = delayed(gate, server.answers[path])
    command = [sys.executable, "-m", "training", "prepare", "fec", str(source), str(killed)]
    running = subprocess.Popen(
        [*command, "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = killed / "downloads.tsv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < 8):
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    gate.set()
    text = log.read_text()
    known = {line.split("/", 3)[3] for line in text[: text.rfind("\n")].split("\n")}
    assert known == {f"{n}_x_b.jpg" for n in range(8)}
    before = {name: hits for name, hits in server.hits.items() if name.strip("/") in known}
    assert set(before.values()) == {1}
    done = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True, check=True)
    assert "Of 16 photos: 12 ok, 4 gone." in done.stdout
    assert {name: server.hits[name] for name in before} == before
    assert server.hits.keys() == first_hits.keys()
    assert max(server.hits.values()) <= 2, "unfinished downloads may be requested again"
    assert Prepared.open(killed).digest == Prepared.open(whole).digest
    assert read_files(killed / "photos") == read_files(whole / "photos")
