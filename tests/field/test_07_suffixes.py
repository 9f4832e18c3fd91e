"""Photos of every format, with suffixes in any case, are pictures to every reader."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from registry.photos import PHOTO_SUFFIXES
from tests.field.copies import read
from tests.training.datasets.trees import Tree, photo, plant
from training.datasets.fec.face_crops import FaceCrops
from training.datasets.fec.photos import Photos
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.lfw_emotion import read as read_lfw
from training.datasets.readers.london import read as read_london

NEWER = [".JPG", ".Tiff", ".avif", ".HEIC", ".gif", ".jfif"]
SUFFIXES = {"folder": sorted({*PHOTO_SUFFIXES, *map(str.upper, PHOTO_SUFFIXES)})}
VOTES = "0,9,1,0,0,0,0,0,0,0"
HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"


def trees(suffix: str) -> dict[str, tuple[Tree, str]]:
    """Return reader -> a set with one picture that ends in `suffix`, and the picture."""
    label = io.BytesIO()
    np.save(label, np.array("3"))
    list_2017 = {
        "training.csv": f"{HEADER}valence,arousal\n1/aa.jpg,1,1,9,9,,3,0,0\n",
        "validation.csv": f"{HEADER}valence,arousal\n",
    }
    named = f"Rafd090_01_Caucasian_female_happy_frontal{suffix}"
    shots = {
        "folder": ({}, f"anna/happy{suffix}"),
        "rafd": ({}, named),
        "rafd-frontal": ({}, named),
        "kdef": ({}, f"AF01ANS{suffix}"),
        "jaffe": ({}, f"KA.AN1.39{suffix}"),
        "ckplus": ({}, f"anger/S010_004_00000017{suffix}"),
        "fer2013": ({}, f"train/angry/1{suffix}"),
        "ferplus": (
            {
                "FER2013Train/label.csv": f'fer0000000.png,"(0, 0, 48, 48)",{VOTES}\n',
                "FER2013Valid/label.csv": f'fer0000001.png,"(0, 0, 48, 48)",{VOTES}\n',
                "FER2013Valid/fer0000001.png": photo(8),
                "FER2013Test/label.csv": f'fer0000002.png,"(0, 0, 48, 48)",{VOTES}\n',
                "FER2013Test/fer0000002.png": photo(9),
            },
            f"FER2013Train/fer0000000{suffix}",
        ),
        "rafdb": (
            {"EmoLabel/list_patition_label.txt": "train_00001.jpg 5\n"},
            f"Image/aligned/train_00001_aligned{suffix}",
        ),
        "affectnet": (list_2017, f"Manually_Annotated_Images/1/aa{suffix}"),
        "affectnet 2021": (
            {
                "train_set/annotations/0_exp.npy": label.getvalue(),
                "val_set/annotations/0_exp.npy": label.getvalue(),
                "val_set/images/0.jpg": photo(9),
            },
            f"train_set/images/0{suffix}",
        ),
        "london": (
            {"info.csv": "face_id,face_age,face_gender,face_eth\n001,34,male,white\n"},
            f"001_03{suffix}",
        ),
        "lfw-emotion": (
            {"legend.csv": "user.id,image,emotion\na,Jane_Doe_0001.jpg,happiness\n"},
            f"images/Jane_Doe_0001{suffix}",
        ),
    }
    return {name: ({**rest, shot: photo(1)}, shot) for name, (rest, shot) in shots.items()}


@pytest.mark.parametrize("name", list(trees(".jpg")))
def test_a_picture_of_any_suffix_is_read(name: str, tmp_path: Path) -> None:
    for number, suffix in enumerate(SUFFIXES.get(name, NEWER)):
        tree, shot = trees(suffix)[name]
        folder = plant(tree, tmp_path / str(number))
        readers = {"london": read_london, "lfw-emotion": read_lfw}
        reader = readers.get(name)
        dataset = reader(folder) if reader else read(name.split()[0], folder, layout=False)
        found = [p.member for p in dataset.pictures if dataset.source.read(p.member) == photo(1)]
        assert found == [shot], suffix


def test_fecs_photos_are_matched_whatever_their_suffix(tmp_path: Path) -> None:
    address = "http://127.0.0.1:9/a/photo.JFIF"
    for folder in ("photos", "originals", "mine"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mine" / "photo.JFIF").write_bytes(photo(1))
    photos = Photos(
        faces={address: [("face", (0.1, 0.9, 0.1, 0.9))]},
        face_crops=FaceCrops(tmp_path / "photos"),
        originals=tmp_path / "originals",
    )
    assert photos.read_folder(tmp_path / "mine").total() == 1
    assert [file.suffix for file in (tmp_path / "originals").iterdir()] == [".jfif"]


def test_real_files_of_the_newer_formats_become_crops(examples: Path, tmp_path: Path) -> None:
    from training.datasets.prepare import prepare

    face = Image.open(next(iter(sorted(examples.glob("*.jpg")))))
    source = tmp_path / "anna"
    source.mkdir()
    names = ("happy.AVIF", "sad.jfif", "fear.TIFF", "anger.gif", "neutral.WebP")
    for name in names:
        kind = {"jfif": "JPEG"}.get(name.split(".")[1].lower(), name.split(".")[1].upper())
        face.convert("RGB").save(source / name, kind)
    report = prepare("folder", tmp_path, tmp_path.parent / f"{tmp_path.name}-data", workers=1)
    assert report.faces == len(names)
    assert not report.dropped
    assert len(DatasetFiles(tmp_path).pictures()) == len(names)
