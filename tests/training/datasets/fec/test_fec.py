import io
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tests.conftest import unused_port
from tests.training.datasets.fec.photo_server import PhotoServer, held, saying, sending, serving
from training.datasets.fec import reader
from training.datasets.fec.face_crops import MARGIN, excerpt, name_of
from training.datasets.fec.fec_csv import EDGES, NAMED, TYPES, parse
from training.datasets.fec.held_out import MOST_HELD, MOST_LOST, held_out
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared, PreparedError

BOX = "0.200000,0.800000,0.200000,0.800000"


def row(
    addresses: tuple[str, str, str],
    answers: str = "333333",
    kind: str = TYPES[0],
    box: str = BOX,
) -> str:
    """Return a line as published: addresses quoted, nothing else."""
    faces = ",".join(f'"{address}",{box}' for address in addresses)
    pairs = ",".join(f"{41207 + rater},{answer}" for rater, answer in enumerate(answers))
    return f"{faces},{kind},{pairs}"


def flickr(*numbers: int) -> tuple[str, str, str]:
    a, b, c = (f"http://farm{n % 9 + 1}.staticflickr.com/1/{n:04d}_ab_b.jpg" for n in numbers)
    return a, b, c


def written(folder: Path, **rows: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for split, lines in rows.items():
        (folder / reader.PARTS[split]).write_text("\n".join(lines) + "\n")
    return folder


def test_the_published_layout_is_read_from_folder_zip_and_either_file(tmp_path: Path) -> None:
    comma = ("http://a.example/one,two.jpg", *flickr(1, 2, 3)[1:])
    lines = [row(flickr(1, 2, 3), "112233"), row(comma, "1333", TYPES[2]), row(flickr(1, 2, 4))]
    folder = written(tmp_path / "fec", train=lines, test=[row(flickr(7, 8, 9), "222133")])
    with zipfile.ZipFile(tmp_path / "fec.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"FEC_dataset/{file.name}")
    whole = reader.read(folder).opinions
    zipped = reader.read(tmp_path / "fec.zip").opinions
    for table in ("faces", "triplets", "answers"):
        pd.testing.assert_frame_equal(getattr(whole, table), getattr(zipped, table))
    assert len(whole.faces) == 8, "the same face in several rows is one"
    assert "http://a.example/one,two.jpg" in set(whole.faces["url"])
    assert whole.faces["name"].str.fullmatch("[0-9a-f]{16}").all()
    assert whole.faces["name"].is_unique
    assert list(whole.faces["name"]) == [name_of(member) for member in whole.faces["member"]]
    alone = reader.read(folder / reader.PARTS["train"]).opinions.triplets
    assert set(alone["split"]) == {"train"}
    assert list(alone["answer"].isna()) == [True, False, False], "a tie has no answer"
    assert list(alone["type"]) == [TYPES[0], TYPES[2], TYPES[0]]
    tested = reader.read(folder / reader.PARTS["test"]).opinions
    assert tested.triplets["answer"].isna().all(), "three of six are too few"
    assert tested.answers["answer"].tolist() == [2, 2, 2, 1, 3, 3]
    assert tested.answers["annotator"].tolist() == [str(41207 + n) for n in range(6)]


def test_how_validation_was_drawn_is_said_and_two_copies_of_a_file_are_not_guessed_between(
    tmp_path: Path,
) -> None:
    folder = written(tmp_path / "fec", train=[row(flickr(1, 2, 3))], test=[row(flickr(7, 8, 9))])
    assert any(
        "until they are 3 % of all or 10 % are dropped" in n for n in reader.read(folder).notes
    )
    tested = reader.read(folder / reader.PARTS["test"])
    assert not any("Validation is drawn" in note for note in tested.notes)
    for copy in ("a", "b"):
        shutil.copytree(folder, tmp_path / "both" / copy)
    with pytest.raises(PreparedError, match=r"in a/, b/; name the folder you mean\."):
        reader.read(tmp_path / "both")


@pytest.mark.parametrize(
    ("answers", "wanted", "agreed"),
    [
        ("111122", 4, 1),
        ("111223", 4, None),
        ("111223", 3, 1),
        ("112233", 1, None),
        ("111222", 1, None),
        ("2213", 4, None),
        ("2221", 4, 2),
        ("223", 4, 2),
        ("3", 6, 3),
        ("32", 1, None),
    ],
)
def test_as_large_a_part_must_agree_where_fewer_were_asked(
    answers: str, wanted: int, agreed: int | None, tmp_path: Path
) -> None:
    source = written(tmp_path / "fec", test=[row(flickr(1, 2, 3), answers)])
    found = reader.read(source, reader.Choices(min_agreement=wanted)).opinions
    assert found.triplets["answer"].isna().tolist() == [agreed is None]
    assert found.triplets["answer"].fillna(0).tolist() == [agreed or 0]
    assert found.answers["answer"].tolist() == [int(said) for said in answers]
    assert found.answers["triplet"].eq(0).all()


BAD = {
    row(flickr(1, 2, 3)).rsplit(",", 1)[0]: "number of columns is wrong",
    row(flickr(1, 2, 3)) + ",5,1": "number of columns is wrong",
    '"' + row(flickr(1, 2, 3)): "quotes don't match",
    row(flickr(1, 2, 3), "333334"): "answer_6 isn't an annotator's 1, 2 or 3: '4'",
    row(flickr(1, 2, 3), "33333 "): "answer_6 isn't an annotator's 1, 2 or 3: ''",
    row(flickr(1, 2, 3), kind="FOUR"): "type is unknown: 'FOUR'",
    row(flickr(1, 2, 3), box="0.5,0.4,0.1,0.2"): "box_1 isn't left < right.*: '0.5, 0.4, 0.1, 0.2'",
    row(flickr(1, 2, 3), box="0.5,1.1,0.1,0.2"): "box_1 isn't",
    row(flickr(1, 2, 3), box="0.5,nan,0.1,0.2"): "box_1 isn't",
    row(("ftp://a/b.jpg", *flickr(1, 2, 3)[1:])): "url_1 is no http or https address: 'ftp://",
    row((*flickr(1, 2, 3)[:2], "file:///etc/passwd")): "url_3 is no http",
    row(flickr(1, 2, 1)): "url_1 shows the same face twice",
    "h\u00e9\x00": "number of columns is wrong",
}


@pytest.mark.parametrize(("line", "why"), BAD.items())
def test_a_bad_row_is_dropped_and_named(line: str, why: str, tmp_path: Path) -> None:
    source = written(tmp_path / "fec", train=[row(flickr(1, 2, 3)), "", line, row(flickr(4, 5, 6))])
    plan = reader.read(source)
    assert len(plan.opinions.triplets) == 2
    assert f"{reader.PARTS['train']}: 3 rows, 1 dropped." in plan.notes
    assert re.search(f"^{reader.PARTS['train']}, line 3: .*{why}", "\n".join(plan.notes), re.M)


def test_of_many_bad_rows_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    lines = [row(flickr(1, 2, 3)), *["bad"] * 10, *[row(flickr(1, 2, 3), "9")] * 30]
    notes = reader.read(written(tmp_path / "fec", train=lines)).notes
    assert f"{reader.PARTS['train']}: 41 rows, 40 dropped." in notes
    assert sum(", line " in note for note in notes) == NAMED
    assert f"{reader.PARTS['train']}: and 20 rows more." in notes


CELLS = st.one_of(
    st.sampled_from(
        ['"http://a/b.jpg"', "https://c/d", "0.1", "0.9", "1e99", "-1", "", " ", *TYPES, "1", "3"]
    ),
    st.text('",\r\x00 aé1.', max_size=6),
)
LINES = st.one_of(
    st.just(row(flickr(1, 2, 3))),
    st.sampled_from(list(BAD)),
    st.lists(CELLS, max_size=30).map(",".join),
    st.tuples(st.integers(0, 27), CELLS).map(
        lambda change: ",".join(
            change[1] if i == change[0] else cell
            for i, cell in enumerate(row(flickr(1, 2, 3)).split(","))
        )
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.lists(LINES, max_size=8).map(lambda r: "\n".join(r).encode()), st.binary()))
def test_whatever_the_bytes_every_row_is_kept_or_dropped(content: bytes) -> None:
    part = parse("any.csv", io.BytesIO(content))
    rows = content.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    assert len(part.table) + part.dropped == sum(bool(row.strip(WHITE)) for row in rows)
    assert len(part.faults) == min(part.dropped, NAMED)
    good = row(flickr(1, 2, 3)).encode()
    assert len(part.table) >= sum(line.rstrip(b"\r") == good for line in content.split(b"\n"))
    for i in (1, 2, 3):
        box = np.column_stack([part.table[f"{edge}_{i}"].to_numpy() for edge in EDGES])
        assert ((box >= 0) & (box <= 1)).all()
    assert set(part.table["answer_1"].to_pylist()) <= {0, 1, 2, 3}


WHITE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def test_photos_of_both_files_are_test_photos_and_no_photo_is_in_two_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [row(flickr(*rng.choice(3000, 3, replace=False).tolist())) for _ in range(1500)]
    rows += [row(flickr(n, n + 1, n + 2), kind=TYPES[1]) for n in range(4000, 4900, 3)]
    tested = [row(flickr(n, n + 10, n + 20)) for n in range(10)]
    plan = reader.read(written(tmp_path / "fec", train=rows, test=tested))
    found = plan.opinions
    assert found.faces.groupby("url")["split"].nunique().max() == 1
    split = found.faces.set_index("name")["split"]
    assert (split[found.faces["name"][found.faces["url"].isin(flickr(0, 10, 20))]] == "test").all()
    for i in (1, 2, 3):
        assert (found.triplets[f"name_{i}"].map(split) == found.triplets["split"]).all()
    counted = found.triplets["split"].value_counts()
    assert counted["test"] == 10
    assert 0.5 * MOST_HELD * 1800 < counted["validation"] <= MOST_HELD * 1800
    lost = 1810 - counted.sum()
    assert any(note.startswith(f"{lost:,} triplets dropped") for note in plan.notes)


def test_what_is_held_out_is_bounded_and_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(1)
    photos = rng.integers(0, 2000, (10_000, 3))
    digests = rng.integers(0, 2**63, len(photos)).astype(np.uint64)
    held = held_out(photos, digests)
    inside = held[photos].sum(axis=1)
    assert 0 < (inside == 3).sum() <= MOST_HELD * len(photos)
    lost = ((inside > 0) & (inside < 3)).mean()
    assert 0.9 * MOST_LOST < lost <= MOST_LOST
    order = rng.permutation(len(photos))
    assert (held_out(photos[order], digests[order]) == held).all()
    assert held_out(np.empty((0, 3), int), np.empty(0, np.uint64)).tolist() == []


def test_a_limit_takes_the_same_triplets_of_each_file(tmp_path: Path) -> None:
    rows = [row(flickr(n, n + 1, n + 2)) for n in range(0, 90, 3)]
    source = written(tmp_path / "fec", train=rows, test=[r.replace("/1/", "/2/") for r in rows])
    few, more = (reader.read(source, reader.Choices(limit=n)).opinions for n in (4, 7))
    assert few.triplets["split"].value_counts().to_dict() == {"train": 4, "test": 4}
    assert set(few.faces["name"]) < set(more.faces["name"])
    assert len(few.faces) == 24


@pytest.mark.parametrize("wrong", [{"min_agreement": 7}, {"limit": 0}, {"photos": Path("none")}])
def test_choices_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PreparedError, match=r"^(--|There is no folder).*\.$"):
        reader.Choices(**wrong)


def test_other_sets_take_none_of_fecs_choices(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"The set toy takes no --limit 3; only fec does\."):
        prepare("toy", None, tmp_path / "toy", choices=reader.Choices(limit=3))


def test_an_excerpt_is_the_square_around_its_box_also_at_the_photos_edge() -> None:
    photo = np.zeros((400, 800, 3), np.uint8)
    photo[100:200, 300:360] = 255
    found = np.asarray(excerpt(photo, (300 / 800, 360 / 800, 0.25, 0.5)))
    side = round(100 * (1 + MARGIN))
    assert found.shape == (side, side, 3)
    bright = np.argwhere(found[..., 0] > 0)
    assert bright.min(0).tolist() == [40, 60]
    assert bright.max(0).tolist() == [139, 119]
    corner = np.asarray(excerpt(photo + np.uint8(9), (0.0, 0.05, 0.0, 0.1)))
    assert corner.shape == (72, 72, 3)
    assert (corner == 9).all()
    assert excerpt(photo, (0.0, 1.0, 0.0, 1.0)).size == (412, 412)
    assert excerpt(photo, (0.5, 0.501, 0.5, 0.501)).size == (16, 16)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, examples: Path) -> Iterator[PhotoServer]:
    """Send eight faces in many lights under many names; every fourth photo is gone."""
    monkeypatch.setenv("no_proxy", "*")
    faces = [Image.open(file).convert("RGB") for file in sorted(examples.glob("*.jpg"))]
    with serving() as server:
        server.answers = {
            f"/{n}_x_b.jpg": sending(lit(faces[n % 8], n)) if n % 4 else saying(404)
            for n in range(16)
        }
        yield server


def lit(face: Image.Image, number: int) -> bytes:
    """Return a photo like no other: pictures in two splits would be dropped from one."""
    content = io.BytesIO()
    ImageEnhance.Brightness(face).enhance(0.8 + number / 120).save(content, "JPEG", quality=95)
    return content.getvalue()


def of_server(server: PhotoServer, folder: Path, count: int) -> Path:
    """Return a set whose triplets name three neighbours each, two faces of a photo at times."""
    at = [server.at(f"/{n}_x_b.jpg") for n in range(count)]
    rows = [row((at[n], at[n + 1], at[n + 2])) for n in range(count - 2)]
    rows += [row((at[1], at[2], at[3]), box="0.1,0.9,0.1,0.9")]
    return written(folder, train=rows, test=[row((at[1], at[2], at[3]), kind=TYPES[1])])


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_photos_that_are_gone_cost_triplets_and_the_report_says_how_many(
    server: PhotoServer, tmp_path: Path
) -> None:
    source, dest = of_server(server, tmp_path / "fec", 12), tmp_path / "data"
    report = prepare("fec", source, dest, workers=1, choices=reader.Choices(keep_photos=True))
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
    assert "Of test survive 3 of 3 photos, 6 of 6 faces and 1 of 1 triplets" in text
    assert "--keep-photos" in text
    originals = {file.stem: file for file in (dest / "originals").iterdir()}
    assert len(originals) == 9
    assert set(server.hits.values()) == {1}
    elsewhere = reader.Choices(photos=dest / "originals")
    prepare("fec", source, tmp_path / "again", workers=1, choices=elsewhere)
    assert Prepared.open(tmp_path / "again").digest == data.digest
    assert set(server.hits.values()) == {1}, "photos at hand are enough"
    later = reader.Choices(photos=dest / "originals", keep_photos=True)
    prepare("fec", source, tmp_path / "again", workers=1, choices=later)
    assert files(tmp_path / "again" / "originals") == files(dest / "originals")


def test_photos_at_hand_are_known_by_the_last_part_of_their_address(
    examples: Path, tmp_path: Path
) -> None:
    source = written(tmp_path / "fec", test=[row(flickr(1, 2, 3)), row(flickr(4, 5, 6))])
    (tmp_path / "photos").mkdir()
    for n in (1, 2, 3, 4):
        shutil.copy(examples / "sad_01.jpg", tmp_path / "photos" / f"{n:04d}_ab_b.jpg")
    (tmp_path / "photos" / "0005_ab_b.jpg").write_bytes(b"no picture")
    choices = reader.Choices(photos=tmp_path / "photos")
    report = prepare("fec", source, tmp_path / "data", workers=1, choices=choices)
    assert "Of 6 photos: 4 ok, 1 no picture, 1 not at hand." in report.notes
    assert report.kept == 4, "also faces of triplets that are lost"


def test_a_photo_that_is_not_where_its_name_says_is_not_guessed(
    examples: Path, tmp_path: Path
) -> None:
    two = ("http://a.example/x/1.jpg", "http://a.example/y/1.jpg", "http://a.example/2.jpg")
    (tmp_path / "photos").mkdir()
    shutil.copy(examples / "sad_01.jpg", tmp_path / "photos" / "1.jpg")
    choices = reader.Choices(photos=tmp_path / "photos")
    with pytest.raises(PreparedError, match=r"^No photo of fec could be had: 3 not at hand; .*\?$"):
        prepare(
            "fec", written(tmp_path / "fec", test=[row(two)]), tmp_path / "data", choices=choices
        )


def test_offline_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.datasets.fec.downloads import RateLimits, download
    from training.datasets.fec.reader import photos

    quick = RateLimits(first_delay_seconds=0.01, interval_seconds=0.0)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(photos, "download", lambda a, t, ledger, _: download(a, t, ledger, quick))
    nobody = f"http://127.0.0.1:{unused_port()}"
    rows = [row(tuple(f"{nobody}/{3 * n + i}.jpg" for i in range(3))) for n in range(20)]
    source = written(tmp_path / "fec", train=rows)
    sentence = r"^No photo of fec could be had: 60 unreachable; look at the connection[^\n]*\.$"
    with pytest.raises(PreparedError, match=sentence):
        prepare("fec", source, tmp_path / "data")


def test_the_face_in_the_middle_is_taken_not_the_largest(examples: Path, tmp_path: Path) -> None:
    large = Image.open(examples / "sad_01.jpg").convert("RGB").resize((500, 500))
    small = Image.open(examples / "smiling_05.jpg").convert("RGB").resize((300, 300))
    photo = Image.new("RGB", (900, 500), "gray")
    photo.paste(large, (400, 0))
    photo.paste(small, (50, 100))
    (tmp_path / "photos").mkdir()
    for n in (1, 2, 3):
        photo.save(tmp_path / "photos" / f"{n:04d}_ab_b.jpg")
    box = f"{50 / 900:.6f},{350 / 900:.6f},0.200000,0.800000"
    source = written(tmp_path / "fec", test=[row(flickr(1, 2, 3), box=box)])
    choices = reader.Choices(photos=tmp_path / "photos")
    prepare("fec", source, tmp_path / "data", workers=1, choices=choices)
    index = Prepared.open(tmp_path / "data").index
    assert index["face_confidence"].notna().all()
    left, top, right, bottom = index["box"][0]
    assert max(right - left, bottom - top) < 300
    assert left < 412 / 2 < right


def test_a_killed_run_goes_on_where_it_was_and_fetches_nothing_twice(
    server: PhotoServer, tmp_path: Path
) -> None:
    source = of_server(server, tmp_path / "fec", 16)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    prepare("fec", source, whole, workers=1)
    once = Counter(server.hits)
    server.hits.clear()
    gate = threading.Event()
    for path in [f"/{n}_x_b.jpg" for n in range(8, 16)]:
        server.answers[path] = held(gate, server.answers[path])
    command = [sys.executable, "-m", "training", "prepare", "fec", str(source), str(killed)]
    running = subprocess.Popen(
        [*command, "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ledger = killed / "downloads.tsv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and (
        not ledger.exists() or ledger.read_text().count("\n") < 8
    ):
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    gate.set()
    noted = ledger.read_text()
    known = {line.split("/", 3)[3] for line in noted[: noted.rfind("\n")].split("\n")}
    assert known == {f"{n}_x_b.jpg" for n in range(8)}
    before = {name: hits for name, hits in server.hits.items() if name.strip("/") in known}
    assert set(before.values()) == {1}
    done = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True, check=True)
    assert "Of 16 photos: 12 ok, 4 gone." in done.stdout
    assert {name: server.hits[name] for name in before} == before
    assert server.hits.keys() == once.keys()
    assert max(server.hits.values()) <= 2, "what was under way may be asked for again"
    assert Prepared.open(killed).digest == Prepared.open(whole).digest
    assert files(killed / "photos") == files(whole / "photos")
