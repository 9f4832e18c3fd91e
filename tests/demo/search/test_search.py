"""python -m demo search: which faces it finds, in which order, and what it prints and writes."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from demo.__main__ import main
from tests.demo.fakes import FakeRegistry
from tests.demo.search.conftest import ColourNetwork, Shade

pytestmark = pytest.mark.usefixtures("log_folder", "network")
Printed = pytest.CaptureFixture[str]


def found(printed: Printed, *arguments: object, status: int = 0) -> dict[str, Any]:
    """Search; return what it prints as JSON."""
    assert main(["search", *map(str, arguments), "--json"]) == status
    answer: dict[str, Any] = json.loads(printed.readouterr().out)
    return answer


def names(answer: dict[str, Any]) -> list[str]:
    return [Path(match["file"]).stem for match in answer["matches"]]


def test_the_nearest_come_first_by_the_distances_that_compare_measures(
    folder: Path, query: Path, capsys: Printed
) -> None:
    answer = found(capsys, folder, query)
    assert names(answer) == ["dark", "middle", "bright"]
    assert (answer["photos"], answer["faces"]) == (3, 3)
    assert (answer["model"], answer["version"]) == ("dln", 3)
    main(["compare", str(query), str(folder / "dark.png"), str(folder / "middle.png"), "--json"])
    compared = json.loads(capsys.readouterr().out)["distances"][:2]
    assert [match["distance"] for match in answer["matches"][:2]] == pytest.approx(compared)
    assert names(found(capsys, folder, query, "--count", "1")) == ["dark"]


def test_the_face_searched_for_is_left_out_and_copies_are_one_match(
    folder: Path, capsys: Printed
) -> None:
    (folder / "same.png").write_bytes((folder / "bright.png").read_bytes())
    answer = found(capsys, folder, folder / "dark.png")
    assert names(answer) == ["middle", "bright"]
    assert answer["matches"][1]["copies"] == [str(folder / "same.png")]
    assert (answer["photos"], answer["faces"]) == (4, 3)


def test_other_people_come_first_if_wished(
    folder: Path, query: Path, examples: Path, capsys: Printed
) -> None:
    person = Image.open(examples / "sad_06.jpg").convert("RGB")
    red, green, blue = person.split()
    Image.merge("RGB", (red, green, blue.point(lambda level: level // 8))).save(folder / "red.png")
    answer = found(capsys, folder, query)
    assert names(answer) == ["dark", "middle", "red", "bright"]
    assert [match["same_person"] for match in answer["matches"]] == [True, True, False, True]
    others = found(capsys, folder, query, "--others-first", "--count", "2")
    assert names(others) == ["red", "dark"]


def test_every_face_of_a_photo_is_a_row_and_a_photo_without_one_is_none(
    folder: Path, query: Path, group: str, nobody: str, capsys: Printed
) -> None:
    for photo in (group, nobody):
        Path(photo).rename(folder / Path(photo).name)
    answer = found(capsys, folder, query)
    assert (answer["photos"], answer["faces"]) == (5, 5)
    faces = {(Path(match["file"]).stem, match["face"]) for match in answer["matches"]}
    assert {("two", 1), ("two", 2)} <= faces


def test_broken_photos_are_named_skipped_and_counted_and_names_may_be_odd(
    folder: Path, query: Path, text: str, shade: Shade, capsys: Printed
) -> None:
    odd = [b"it's.png", b"new\nline.png", b"\xff.png", "é%23\\.png".encode()]
    for name in odd:
        shade(folder / os.fsdecode(name), 0.6)
    Path(text).rename(folder / "text.jpg")
    assert main(["search", str(folder), str(query), "-o", str(folder / "out.html")]) == 2
    printed = capsys.readouterr()
    assert "text.jpg" in printed.err
    assert "The nearest of 4 faces in 7 photos" in printed.out
    page = (folder / "out.html").read_text(encoding="utf-8")
    assert "it&#x27;s.png" in page
    assert "The photo is gone" not in page
    assert page.count("<li>") == page.count('alt="Face') == 4


def test_a_zip_is_searched_as_a_folder_is(
    folder: Path, query: Path, tmp_path: Path, capsys: Printed
) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for photo in folder.iterdir():
            archive.write(photo, f"inside/{photo.name}")
    answer = found(capsys, tmp_path / "photos.zip", query)
    assert names(answer) == ["dark", "middle", "bright"]
    assert answer["matches"][0]["file"] == f"{tmp_path}/photos.zip/inside/dark.png"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{folder}", "{nobody}"], "No face was found"),
        (["{folder}", "{query}", "--face", "2"], "There is no face 2"),
        (["{folder}"], "Name a QUERY, or --forget"),
        (["{query}", "{query}"], "is no folder and no zip"),
        (["faces.lance", "{query}"], "is a table of LanceDB, which can't be searched"),
        (["{folder}", "{query}", "--count", "0"], "--count 0 finds nothing"),
        (["{folder}", "{query}", "-o", "found.png"], "does not end with .html"),
        (["{folder}", "{folder}"], "Only one photo can be searched for"),
        (["{empty}", "{query}"], "holds no picture"),
    ],
)
def test_what_can_not_be_searched_gets_a_sentence_before_any_work(
    arguments: list[str],
    sentence: str,
    folder: Path,
    query: Path,
    nobody: str,
    tmp_path: Path,
    network: ColourNetwork,
    capsys: Printed,
) -> None:
    (tmp_path / "empty").mkdir()
    given = {"folder": folder, "query": query, "nobody": nobody, "empty": tmp_path / "empty"}
    network.faces = 0
    assert main(["search", *(each.format_map(given) for each in arguments)]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.out == ""


def test_an_empty_registry_is_named(
    registry: FakeRegistry, folder: Path, query: Path, capsys: Printed
) -> None:
    registry.production.clear()
    assert main(["search", str(folder), str(query)]) == 3
    assert "dln is empty" in capsys.readouterr().err
