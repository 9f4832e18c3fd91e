from pathlib import Path

import numpy as np
import pytest

from registry.catalog import FERPLUS_MARGIN
from registry.faces import Face, NoFace
from tests.training.datasets.trees import Tree, everywhere, pack, photo, plant
from training.datasets.crop import nearest_face
from training.datasets.prepared import PreparedError
from training.datasets.readers import rafdb

LINES = [
    *(f"train_{label:05d}.jpg {label}" for label in range(1, 8)),
    *("test_0001.jpg 5", "test_0002.jpg 4", "", "train_00008.jpg 8", "train_00001.jpg 1"),
    *("holiday.jpg 4", "train_00009.jpg", "test_0003.jpg 1"),
]
NAMES = [*(f"train_{label:05d}" for label in range(1, 9)), "test_0001", "test_0002"]
LIST = {"EmoLabel/list_patition_label.txt": "\n".join(LINES) + "\n"}
ALIGNED = {f"Image/aligned/{name}_aligned.jpg": photo(i) for i, name in enumerate(NAMES)}
ORIGINALS = {f"Image/original/{name}.jpg": photo(i, 1) for i, name in enumerate(NAMES)}
BOXES = {
    "Annotation/boundingbox/train_00001_boundingbox.txt": "10.0 20.0 30.0 60.0 \n",
    "Annotation/boundingbox/train_00002_boundingbox.txt": "30 20 10 nan",
}


def published(tree: Tree) -> Tree:
    """Return the tree as it was published, beside the compound emotions and their list."""
    rest = {"compound/EmoLabel/list_patition_label.txt": "train_0001.jpg 11\n"}
    return {**rest, **{f"basic/{name}": content for name, content in tree.items()}}


def test_published_codes_become_ours_in_the_published_splits(tmp_path: Path) -> None:
    for path in everywhere(published(LIST | ALIGNED), tmp_path):
        dataset = rafdb.read(path)
        trained = {p.name: p.emotion for p in dataset.pictures if p.split != "test"}
        assert [trained[name] for name in NAMES[:7]] == [3, 4, 5, 1, 2, 6, 0]
        tested = {p.name: p.emotion for p in dataset.pictures if p.split == "test"}
        assert tested == {"test_0001": 2, "test_0002": 1}
        assert dataset.fallback_margin == FERPLUS_MARGIN
        assert all(dataset.source.read(picture.member) for picture in dataset.pictures)


def test_the_folder_basic_alone_is_enough(tmp_path: Path) -> None:
    for path in everywhere(LIST | ALIGNED, tmp_path):
        assert len(rafdb.read(path).pictures) == 9


def test_faulty_lines_are_named_with_line_and_value(tmp_path: Path) -> None:
    notes = rafdb.read(plant(LIST | ALIGNED, tmp_path)).notes
    listed = "EmoLabel/list_patition_label.txt line"
    for note in (
        f"1 dropped, unknown label: {listed} 11 ('8').",
        f"1 dropped, a duplicate: {listed} 12 ('Image/aligned/train_00001_aligned.jpg').",
        f"2 dropped, not like `train_00001.jpg 5`: {listed} 13 ('holiday.jpg 4'), "
        f"{listed} 14 ('train_00009.jpg').",
        f"1 dropped, the photo is missing: {listed} 15 ('Image/aligned/test_0003_aligned.jpg').",
    ):
        assert note in notes


def test_originals_are_preferred_with_the_centre_of_the_labelled_face(tmp_path: Path) -> None:
    dataset = rafdb.read(pack(published(LIST | ALIGNED | ORIGINALS | BOXES), tmp_path / "raf.zip"))
    assert {p.member.split("/")[2] for p in dataset.pictures} == {"original"}
    assert dataset.fallback_margin is None, "a photo without a face is dropped"
    centre = {p.name: p.face_centre for p in dataset.pictures}
    assert centre["train_00001"] == (20.0, 40.0)
    assert centre["train_00002"] is None
    assert any("8 photos have no box" in note for note in dataset.notes)


def test_aligned_pictures_are_taken_if_there_are_more_of_them(tmp_path: Path) -> None:
    few = dict(list(ORIGINALS.items())[:3])
    dataset = rafdb.read(plant(LIST | ALIGNED | few, tmp_path))
    assert {p.member.split("/")[1] for p in dataset.pictures} == {"aligned"}
    assert any(note.startswith("Aligned pictures were taken") for note in dataset.notes)


def test_a_list_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match=r"None of the set's rows .* 1 dropped, not like"):
        rafdb.read(plant({**ALIGNED, next(iter(LIST)): "name,label\n"}, tmp_path))


def face(x: float, y: float, eyes: float) -> Face:
    """Return a face with its eyes and mouth around (x, y)."""
    at = [(-eyes, -eyes), (eyes, -eyes), (0, 0), (0, eyes), (-2 * eyes, 0), (2 * eyes, 0)]
    keypoints = np.array(at) / 2 + (x, y)
    return Face(box=(x - eyes, y - eyes, x + eyes, y + eyes), keypoints=keypoints, confidence=1.0)


def test_the_labelled_one_of_several_faces_is_taken_or_none() -> None:
    large, small = face(100.0, 100.0, 60.0), face(300.0, 120.0, 20.0)
    assert nearest_face([large, small], (305.0, 118.0)) is small
    assert nearest_face([large, small], (90.0, 110.0)) is large
    with pytest.raises(NoFace):
        nearest_face([large, small], (300.0, 400.0))
    with pytest.raises(NoFace):
        nearest_face([], (300.0, 400.0))
