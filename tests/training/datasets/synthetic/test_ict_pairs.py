"""Sessions of people: what two pictures of a session share, and the points of a face."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float

from registry.catalog import EMOTIONS
from training.datasets.prepared import PreparedError
from training.datasets.synthetic import ict_pairs
from training.datasets.synthetic.head import Head

SESSION = ("ict003_0_neutral_01", "ict003_0_surprise_05")


@pytest.fixture(scope="module")
def head(shared_data: Path) -> Head:
    return Head.load(shared_data / "ict_facekit")


def test_every_session_has_all_emotions_and_every_person_one_split(shared_data: Path) -> None:
    dataset = ict_pairs.read(shared_data / "ict_facekit")
    emotions: dict[tuple[str, float], list[int]] = {}
    split: dict[str, set[str]] = {}
    for picture in dataset.pictures:
        assert picture.person is not None
        assert picture.angle is not None
        assert picture.emotion is not None
        emotions.setdefault((picture.person, picture.angle), []).append(picture.emotion)
        split.setdefault(picture.person, set()).add(picture.split)
    assert all(sorted(each) == list(range(len(EMOTIONS))) for each in emotions.values())
    assert all(len(each) == 1 for each in split.values())
    assert len(emotions) == ict_pairs.SESSIONS * len(split)


def test_pictures_of_a_session_differ_only_in_the_face(head: Head) -> None:
    neutral, surprise = (ict_pairs.portrait(head, name) for name in SESSION)
    assert (neutral == ict_pairs.portrait(head, SESSION[0])).all()
    changed = np.abs(neutral.astype(int) - surprise).max(2) > 8
    assert changed.mean() > 0.03
    assert changed[:20].mean() < 0.3 * changed.mean()  # above the brows only light changes
    assert not changed[:, :12].any()  # nor does the background
    other = ict_pairs.portrait(head, "ict003_1_neutral_01")
    assert np.abs(neutral.astype(int) - other).mean() > 10


def test_points_move_with_the_skin(head: Head) -> None:
    faces = [ict_pairs.portrait(head, name).astype(float) for name in SESSION]
    places = [ict_pairs.points(head, name) for name in SESSION]
    moved = np.abs(places[0] - places[1]).max(1) > 0.02
    assert moved.sum() > 20
    assert moved.mean() < 0.9

    def colours(face: np.ndarray, at: Float[np.ndarray, "points 2"]) -> np.ndarray:
        x, y = (at[moved] * ict_pairs.SIZE_PX).astype(int).T
        found: np.ndarray = face[y, x]
        return found

    along = np.abs(colours(faces[0], places[0]) - colours(faces[1], places[1])).mean()
    in_place = np.abs(colours(faces[0], places[0]) - colours(faces[1], places[0])).mean()
    assert along < 0.7 * in_place


def test_a_variant_is_the_same_expression_on_every_person(head: Head) -> None:
    neutral = [ict_pairs.points(head, f"ict{p}_0_neutral_01") for p in ("003", "017")]
    happy = [ict_pairs.points(head, f"ict{p}_0_happy_04") for p in ("003", "017")]
    one, other = ((a - b).ravel() for a, b in zip(happy, neutral, strict=True))
    assert ict_pairs.expression_of("ict003_0_happy_04") == "happy_04"
    assert np.corrcoef(one, other)[0, 1] > 0.8


def test_without_a_source_the_message_says_what_to_name() -> None:
    with pytest.raises(PreparedError, match=r"ict_deltas\.npz"):
        ict_pairs.read(None)
