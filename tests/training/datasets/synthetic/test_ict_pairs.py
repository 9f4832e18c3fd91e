"""People who sit for all emotions: what two pictures of a sitting share, and where a point went."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float

from registry.catalog import EMOTIONS
from training.datasets.prepared import PreparedError
from training.datasets.synthetic import ict_pairs
from training.datasets.synthetic.head import Head

SITTING = ("ict003_0_neutral_01", "ict003_0_surprise_05")


@pytest.fixture(scope="module")
def head(shared_data: Path) -> Head:
    return Head.load(shared_data / "ict_facekit")


def test_every_person_sits_for_all_emotions_and_keeps_to_one_split(shared_data: Path) -> None:
    reading = ict_pairs.read(shared_data / "ict_facekit")
    shown: dict[tuple[str, float], list[int]] = {}
    split: dict[str, set[str]] = {}
    for picture in reading.pictures:
        assert picture.person is not None
        assert picture.angle is not None
        assert picture.emotion is not None
        shown.setdefault((picture.person, picture.angle), []).append(picture.emotion)
        split.setdefault(picture.person, set()).add(picture.split)
    assert all(sorted(each) == list(range(len(EMOTIONS))) for each in shown.values())
    assert all(len(each) == 1 for each in split.values())
    assert len(shown) == ict_pairs.SITTINGS * len(split)


def test_a_sitting_differs_in_the_face_alone(head: Head) -> None:
    neutral, surprise = (ict_pairs.portrait(head, name) for name in SITTING)
    assert (neutral == ict_pairs.portrait(head, SITTING[0])).all()
    changed = np.abs(neutral.astype(int) - surprise).max(2) > 8
    assert changed.mean() > 0.03
    assert changed[:20].mean() < 0.3 * changed.mean()  # above the brows only light changes
    assert not changed[:, :12].any()  # nor does the background
    other = ict_pairs.portrait(head, "ict003_1_neutral_01")
    assert np.abs(neutral.astype(int) - other).mean() > 10


def test_points_go_where_the_skin_goes(head: Head) -> None:
    faces = [ict_pairs.portrait(head, name).astype(float) for name in SITTING]
    places = [ict_pairs.points(head, name) for name in SITTING]
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


def test_one_way_is_one_expression_whoever_shows_it(head: Head) -> None:
    rest = [ict_pairs.points(head, f"ict{p}_0_neutral_01") for p in ("003", "017")]
    shown = [ict_pairs.points(head, f"ict{p}_0_happy_04") for p in ("003", "017")]
    one, other = ((a - b).ravel() for a, b in zip(shown, rest, strict=True))
    assert ict_pairs.way("ict003_0_happy_04") == "happy_04"
    assert np.corrcoef(one, other)[0, 1] > 0.8


def test_without_its_source_it_says_what_to_name() -> None:
    with pytest.raises(PreparedError, match=r"ict_deltas\.npz"):
        ict_pairs.read(None)
