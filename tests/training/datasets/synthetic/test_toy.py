import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from registry.catalog import DLN, EMOTIONS
from registry.crops import CropSpec
from training.datasets.prepare import prepare, show
from training.datasets.prepared import Prepared
from training.datasets.synthetic.drawing import draw


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("sets") / "toy"
    prepare("toy", None, folder)
    return Prepared.open(folder)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def test_the_set_is_drawn_in_a_few_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    prepare("toy", None, tmp_path / "toy")
    assert time.process_time() - start < 8


def test_equal_arguments_draw_equal_pixels_at_any_size() -> None:
    assert np.array_equal(draw(3, 1, 0, 96), draw(3, 1, 0, 96))
    assert draw(3, 1, 0, 64).shape == (64, 64, 3)


def test_every_person_and_every_emotion_looks_different() -> None:
    faces = {(p, e): draw(p, e, 0, 64) for p in range(12) for e in range(len(EMOTIONS))}
    keys = list(faces)
    assert all(
        difference(faces[a], faces[b]) > 1 for i, a in enumerate(keys) for b in keys[i + 1 :]
    )


def test_identity_changes_more_pixels_than_expression() -> None:
    expression = [difference(draw(p, 0, 0, 64), draw(p, 3, 0, 64)) for p in range(12)]
    identity = [difference(draw(p, 0, 0, 64), draw(p + 1, 0, 0, 64)) for p in range(12)]
    assert np.median(identity) > np.median(expression)


def test_a_linear_probe_recognises_emotions_of_new_people(toy: Prepared) -> None:
    faces = toy.faces(CropSpec(size_px=24, margin=DLN.crop.margin)).astype(float).mean(-1)
    pixels = faces.reshape(len(faces), -1)
    pixels = (pixels - pixels.mean(1, keepdims=True)) / pixels.std(1, keepdims=True)
    emotion, train, test = toy.index["emotion"].to_numpy(int), *map(toy.split, ("train", "test"))
    known = pixels[train]
    ridge = known @ known.T + 100 * np.eye(len(known))
    weights = np.linalg.solve(ridge, np.eye(8)[emotion[train]] - 1 / 8)
    predicted = (pixels[test] @ known.T @ weights).argmax(1)
    assert (predicted == emotion[test]).mean() > 3 / 8


def test_its_splits_share_no_person_and_show_all_emotions(toy: Prepared) -> None:
    by_person = toy.index.groupby("person")["split"].nunique()
    assert len(toy.index) == 12 * 8 * 3
    assert by_person.max() == 1
    assert (toy.index.groupby("split")["emotion"].nunique() == len(EMOTIONS)).all()
    assert set(toy.index["split"]) == {"train", "validation", "test"}


def test_its_triplets_hold_two_of_one_emotion_and_an_odd_one(toy: Prepared) -> None:
    assert toy.triplets is not None
    index = toy.index.set_index("name")
    emotions = np.stack([toy.triplets[f"name_{i}"].map(index["emotion"]) for i in (1, 2, 3)], 1)
    odd = toy.triplets["answer"].to_numpy() - 1
    rest = np.array([np.delete(row, o) for row, o in zip(emotions, odd, strict=True)])
    assert (rest[:, 0] == rest[:, 1]).all()
    assert (emotions[np.arange(len(odd)), odd] != rest[:, 0]).all()
    assert set(odd) == {0, 1, 2}
    splits = toy.triplets["name_1"].map(index["split"])
    assert (splits == toy.triplets["split"]).all()
    assert pd.unique(toy.triplets["split"]).tolist() == ["validation", "test"]


def test_votes_say_how_strong_the_expression_is(toy: Prepared) -> None:
    votes = np.stack(list(toy.index["votes"]))
    assert (votes.sum(1) == 10).all()
    assert (votes.argmax(1) == toy.index["emotion"]).all()
    assert set(votes.max(1)) == {10, 8, 6}


def test_show_counts_the_faces_of_a_folder(toy: Prepared) -> None:
    text = show(toy.folder)
    assert "288 faces" in text
    assert "8 train, 2 validation, 2 test" in text
    assert "in two emotions: 4,032 train, 1,008 validation, 1,008 test" in text
    assert toy.digest in text
