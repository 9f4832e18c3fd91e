"""python -m demo search TABLE: the faces of a table that `embed` wrote."""

import json
from pathlib import Path

import lancedb
import pyarrow.parquet as pq
import pytest

from demo.__main__ import main
from demo.models import ModelServer
from demo.search.face_collection import FaceCollection
from demo.search.face_rows import BadTable
from demo.search.table_search import TableSearch
from tests.demo.fakes import FakeRegistry
from tests.demo.search.conftest import ColourNetwork

pytestmark = pytest.mark.usefixtures("log_folder", "network")
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def table(folder: Path, tmp_path: Path, capsys: Printed) -> Path:
    """Return a table of three faces with a column of emotions."""
    path = tmp_path / "faces.parquet"
    assert main(["embed", str(folder), "-o", str(path)]) == 0
    faces = pq.read_table(path)
    emotions = ["sad" if "dark" in name else "happy" for name in faces["file"].to_pylist()]
    pq.write_table(faces.append_column("emotion", [emotions]), path)
    capsys.readouterr()
    return path


def test_the_nearest_of_a_table_are_found_and_chosen_by_emotion(
    table: Path, folder: Path, query: Path, capsys: Printed
) -> None:
    assert main(["search", str(table), str(query), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [Path(each["file"]).stem for each in answer["matches"]] == ["dark", "middle", "bright"]
    assert main(["search", str(folder), str(query), "--json"]) == 0
    beside = json.loads(capsys.readouterr().out)["matches"]
    assert [each["distance"] for each in answer["matches"]] == pytest.approx(
        [each["distance"] for each in beside], abs=1e-3
    )
    assert main(["search", str(table), str(query), "--emotion", "happy", "--json"]) == 0
    happy = json.loads(capsys.readouterr().out)["matches"]
    assert [Path(each["file"]).stem for each in happy] == ["middle", "bright"]


def test_what_a_table_can_not_do_is_one_sentence(
    table: Path, folder: Path, query: Path, capsys: Printed
) -> None:
    refused = {
        ("--person", "Ann"): "no column 'person'",
        ("--others-first",): "for folders of photos",
    }
    for options, words in refused.items():
        assert main(["search", str(table), str(query), *options]) == 2
        assert words in capsys.readouterr().err
    assert main(["search", str(folder), str(query), "--emotion", "happy"]) == 2
    assert "is for a prepared data set or a table of faces" in capsys.readouterr().err
    index = ["--index", "s3://anna:s3cr3t@bucket/faces"]
    assert main(["search", str(table), str(query), *index]) == 2
    printed = capsys.readouterr()
    assert "AWS_SECRET_ACCESS_KEY" in printed.err
    assert "s3cr3t" not in printed.err + printed.out


def test_vectors_of_another_version_are_refused(table: Path, query: Path, capsys: Printed) -> None:
    faces = pq.read_table(table)
    at = faces.schema.get_field_index("version")
    pq.write_table(faces.set_column(at, "version", [[2] * len(faces)]), table)
    assert main(["search", str(table), str(query)]) == 2
    assert "holds vectors of version 2" in capsys.readouterr().err


def test_faces_of_a_prepared_set_are_chosen_by_its_labels(
    prepared: Path, query: Path, tmp_path: Path, capsys: Printed
) -> None:
    table = tmp_path / "actors.parquet"
    assert main(["embed", str(prepared), "-o", str(table)]) == 0
    rows = {Path(row["file"]).stem: row for row in pq.read_table(table).to_pylist()}
    labels = [{key: row[key] for key in ("person", "emotion", "set")} for row in rows.values()]
    assert dict(zip(rows, labels, strict=True)) == {
        "bright": {"person": "O'Neil", "emotion": None, "set": "actors"},
        "dark": {"person": "Ann", "emotion": "sad", "set": "actors"},
        "middle": {"person": "O'Neil", "emotion": "sad", "set": "actors"},
    }
    for place in (table, prepared):
        for options, names in {
            ("--person", "O'Neil"): ["middle", "bright"],
            ("--emotion", "sad", "--set", "actors"): ["dark", "middle"],
            ("--person", "Ann' OR 1=1 --"): [],
        }.items():
            capsys.readouterr()
            assert main(["search", str(place), str(query), *options, "--json"]) == 0
            matches = json.loads(capsys.readouterr().out)["matches"]
            assert [Path(each["file"]).stem for each in matches] == names
            assert all(each["set"] == "actors" for each in matches)
        assert main(["search", str(place), str(query), "--person", "Nobody"]) == 0
        assert "No other face has person 'Nobody'." in capsys.readouterr().out


def test_the_index_of_a_prepared_set_is_no_table_and_the_sentence_names_the_way(
    prepared: Path, query: Path, capsys: Printed
) -> None:
    assert main(["search", str(prepared / "index.parquet"), str(query)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "search the set's folder" in sentence


def test_forget_deletes_an_index_that_is_kept_elsewhere(
    table: Path, query: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert main(["search", str(table), str(query), "--index", str(elsewhere)]) == 0
    assert any(elsewhere.rglob("*.lance/data/*"))
    assert main(["search", str(table), "--forget", "--index", str(elsewhere)]) == 0
    assert not any(path.is_file() for path in elsewhere.rglob("*.lance/*"))


def test_an_index_leaves_the_tables_of_others_in_its_folder_alone(
    table: Path, query: Path, tmp_path: Path
) -> None:
    theirs = {"faces": [{"file": "a.jpg"}], "added": [{"by": "somebody"}]}
    database = lancedb.connect(tmp_path / "mine")
    for name, rows in theirs.items():
        database.create_table(name, rows)
    at = ["--index", str(tmp_path / "mine")]
    assert main(["search", str(table), str(query), *at]) == 0
    assert main(["search", str(table), "--forget", *at]) == 0
    assert {name: database.open_table(name).to_arrow().to_pylist() for name in theirs} == theirs


def test_ctrl_c_while_the_index_is_built_is_one_sentence(
    table: Path, query: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FaceCollection, "refresh", stopped)
        assert main(["search", str(table), str(query)]) == 130
    assert "an unfinished index is built again" in capsys.readouterr().err
    assert main(["search", str(table), str(query)]) == 0


def test_the_page_names_no_folder_of_this_machine_when_a_table_is_of_another_version(
    table: Path, registry: FakeRegistry, network: ColourNetwork
) -> None:
    registry.put("dln", 4, network)
    search = TableSearch(table, ModelServer(poll_seconds=None))
    with pytest.raises(BadTable) as refused:
        search.update()
    sentence = search.sentence(refused.value)
    assert sentence.startswith("faces.parquet holds vectors of version 3 of the dln")
    assert str(table.parent) not in sentence
