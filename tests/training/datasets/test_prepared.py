import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from registry.catalog import DLN, EMOTIONS
from registry.crops import CropSpec
from training.datasets.contact_sheet import (
    CAPTION_PX,
    COLUMNS,
    FACE_PX,
    SPEC,
    draw_sheet,
    write_sheet,
)
from training.datasets.prepared import Prepared, PreparedError
from training.datasets.synthetic import toy


@pytest.fixture(scope="module")
def folder(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "toy"
    shutil.copytree(drawn, folder)
    return folder


def test_faces_come_as_rgb_in_the_order_of_the_index(folder: Path) -> None:
    data = Prepared.open(folder)
    faces = data.faces(CropSpec(size_px=toy.SIZE_PX, margin=DLN.crop.margin))
    assert isinstance(faces, np.memmap)
    assert faces.shape == (288, toy.SIZE_PX, toy.SIZE_PX, 3)
    for row in (0, 101, 287):
        stored = np.asarray(Image.open(folder / data.index["path"][row]))
        assert np.abs(faces[row].astype(int) - stored).mean() < 1


@pytest.mark.parametrize("size_px", [32, 200])
def test_another_size_is_the_same_face(folder: Path, size_px: int) -> None:
    data = Prepared.open(folder)
    native = data.faces(CropSpec(size_px=toy.SIZE_PX, margin=DLN.crop.margin))[5]
    resized = Image.fromarray(data.faces(CropSpec(size_px=size_px, margin=DLN.crop.margin))[5])
    again = np.asarray(resized.resize((toy.SIZE_PX, toy.SIZE_PX), Image.Resampling.BICUBIC))
    assert np.abs(again.astype(int) - native).mean() < 8


def test_faces_are_cut_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = CropSpec(size_px=24, margin=0.1)
    first = Prepared.open(folder).faces(spec)
    monkeypatch.setattr("training.datasets.prepared.recut", None)
    assert np.array_equal(Prepared.open(folder).faces(spec), first)


def test_grey_crops_become_rgb(tmp_path: Path, folder: Path) -> None:
    grey = tmp_path / "grey"
    shutil.copytree(folder, grey, ignore=shutil.ignore_patterns("cache"))
    data = Prepared.open(grey)
    path = grey / data.index["path"][0]
    Image.open(path).convert("L").save(path)
    face = data.faces(CropSpec(size_px=48, margin=0.0))[0]
    assert (face == face[..., :1]).all()


def test_the_digest_depends_on_the_content_and_not_on_the_folder(
    tmp_path: Path, folder: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    data, same = Prepared.open(folder), Prepared.open(copy)
    assert data.digest == same.digest
    same.index.loc[0, "emotion"] = 7
    assert Prepared(copy, same.name, same.index, same.triplets).digest != data.digest


def test_a_folder_without_a_prepared_set_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match="isn't a prepared set"):
        Prepared.open(tmp_path)
    (tmp_path / "index.parquet").write_text("hello")
    with pytest.raises(PreparedError, match="can't be read; prepare the set again"):
        Prepared.open(tmp_path)


def test_unknown_splits_and_tilted_faces_are_refused(folder: Path) -> None:
    data = Prepared.open(folder)
    with pytest.raises(PreparedError, match="no split 'valid'"):
        data.split("valid")
    with pytest.raises(PreparedError, match="level already"):
        data.faces(CropSpec(size_px=32, margin=0.0, roll=False))


def test_the_contact_sheet_shows_every_emotion(folder: Path) -> None:
    data = Prepared.open(folder)
    picture = np.asarray(draw_sheet(data))
    tile = FACE_PX + CAPTION_PX
    assert picture.shape == (len(EMOTIONS) * tile, COLUMNS * FACE_PX, 3)
    sad = np.flatnonzero(data.index["emotion"] == EMOTIONS.index("sad"))
    row = EMOTIONS.index("sad") * tile + CAPTION_PX
    shown = picture[row : row + FACE_PX, :FACE_PX]
    assert any((shown == face).all() for face in data.faces(SPEC)[sad])
    assert (picture[row - CAPTION_PX : row, :FACE_PX] < 128).any(), "it has a caption"


def test_a_sheet_that_cannot_be_written_is_reported_in_one_sentence(folder: Path) -> None:
    with pytest.raises(PreparedError, match=r"sheet\.png can't be written: No such file"):
        write_sheet(Prepared.open(folder), folder / "nowhere" / "sheet.png")
