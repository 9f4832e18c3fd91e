import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.training.datasets.fec.rows import flickr, row, write_parts
from training.datasets.fec import reader
from training.datasets.fec.face_crops import name_of
from training.datasets.fec.fec_csv import TYPES
from training.datasets.prepare import prepare
from training.datasets.prepared import PreparedError


def test_the_published_layout_is_read_from_a_folder_a_zip_or_one_file(tmp_path: Path) -> None:
    comma = ("http://a.example/one,two.jpg", *flickr(1, 2, 3)[1:])
    lines = [row(flickr(1, 2, 3), "112233"), row(comma, "1333", TYPES[2]), row(flickr(1, 2, 4))]
    folder = write_parts(tmp_path / "fec", train=lines, test=[row(flickr(7, 8, 9), "222133")])
    with zipfile.ZipFile(tmp_path / "fec.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"FEC_dataset/{file.name}")
    whole = reader.read(folder).triplets
    zipped = reader.read(tmp_path / "fec.zip").triplets
    for table in ("faces", "table", "answers"):
        pd.testing.assert_frame_equal(getattr(whole, table), getattr(zipped, table))
    assert len(whole.faces) == 8, "the same face in several rows is one"
    assert "http://a.example/one,two.jpg" in set(whole.faces["url"])
    assert whole.faces["name"].str.fullmatch("[0-9a-f]{16}").all()
    assert whole.faces["name"].is_unique
    assert list(whole.faces["name"]) == [name_of(member) for member in whole.faces["member"]]
    alone = reader.read(folder / reader.PARTS["train"]).triplets.table
    assert set(alone["split"]) == {"train"}
    assert list(alone["answer"].isna()) == [True, False, False], "a tie has no answer"
    assert list(alone["type"]) == [TYPES[0], TYPES[2], TYPES[0]]
    tested = reader.read(folder / reader.PARTS["test"]).triplets
    assert tested.table["answer"].isna().all(), "three of six are too few"
    assert tested.answers["answer"].tolist() == [2, 2, 2, 1, 3, 3]
    assert tested.answers["annotator"].tolist() == [str(41207 + n) for n in range(6)]


def test_notes_say_how_validation_was_drawn_and_two_copies_of_a_file_are_refused(
    tmp_path: Path,
) -> None:
    folder = write_parts(
        tmp_path / "fec", train=[row(flickr(1, 2, 3))], test=[row(flickr(7, 8, 9))]
    )
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
    ("answers", "needed", "agreed"),
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
def test_the_same_share_must_agree_if_fewer_than_six_answered(
    answers: str, needed: int, agreed: int | None, tmp_path: Path
) -> None:
    source = write_parts(tmp_path / "fec", test=[row(flickr(1, 2, 3), answers)])
    found = reader.read(source, reader.FecOptions(min_agreement=needed)).triplets
    assert found.table["answer"].isna().tolist() == [agreed is None]
    assert [answer or 0 for answer in found.table["answer"]] == [agreed or 0]
    assert found.answers["answer"].tolist() == [int(answer) for answer in answers]
    assert found.answers["triplet"].eq(0).all()


def test_a_limit_takes_the_same_triplets_of_each_file(tmp_path: Path) -> None:
    rows = [row(flickr(n, n + 1, n + 2)) for n in range(0, 90, 3)]
    source = write_parts(tmp_path / "fec", train=rows, test=[r.replace("/1/", "/2/") for r in rows])
    few, more = (reader.read(source, reader.FecOptions(limit=n)).triplets for n in (4, 7))
    assert few.table["split"].value_counts().to_dict() == {"train": 4, "test": 4}
    assert set(few.faces["name"]) < set(more.faces["name"])
    assert len(few.faces) == 24


@pytest.mark.parametrize("wrong", [{"min_agreement": 7}, {"limit": 0}, {"photos": Path("none")}])
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PreparedError, match=r"^(--|There is no folder).*\.$"):
        reader.FecOptions(**wrong)


def test_other_sets_refuse_fecs_options(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"The set toy takes no --limit 3; only fec does\."):
        prepare("toy", None, tmp_path / "toy", options=reader.FecOptions(limit=3))
