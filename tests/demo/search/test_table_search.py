"""python -m demo search TABLE: the faces of a table that `embed` wrote."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from demo.__main__ import main

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
    assert "for a table of faces" in capsys.readouterr().err


def test_vectors_of_another_version_are_refused(table: Path, query: Path, capsys: Printed) -> None:
    faces = pq.read_table(table)
    at = faces.schema.get_field_index("version")
    pq.write_table(faces.set_column(at, "version", [[2] * len(faces)]), table)
    assert main(["search", str(table), str(query)]) == 2
    assert "holds vectors of version 2" in capsys.readouterr().err
