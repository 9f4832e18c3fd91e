"""Faces from the side are refused, half turned ones doubted, and all portraits pass."""

from pathlib import Path

import numpy as np
import pytest

from demo.transfer_limits import MAX_TURN, WARN_TURN, WARN_CONFIDENCE, ProfileFace, warnings_about, turn
from registry.faces import Face, FaceCropper
from registry.photos import read_photo


def seen(turned: float, roll: float = 0.0, confidence: float = 0.9) -> Face:
    """A face whose nose tip is `turned` eye distances to the side, rolled by degrees."""
    eyes = 40.0
    points = [(-0.5, 0), (0.5, 0), (turned, 0.6), (0, 1.0), (-1, 0.2), (1, 0.2)]
    angle = np.radians(roll)
    turning = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    keypoints = eyes * np.array(points) @ turning + 200
    return Face(box=(100.0, 100.0, 300.0, 300.0), keypoints=keypoints, confidence=confidence)


@pytest.mark.parametrize("roll", [-60.0, 0.0, 35.0, 150.0])
@pytest.mark.parametrize("side", [-0.4, 0.0, 0.2])
def test_turn_counts_eye_distances_whatever_the_roll(side: float, roll: float) -> None:
    assert turn(seen(side, roll)) == pytest.approx(abs(side), abs=1e-9)


def test_a_profile_is_refused_and_what_is_less_is_doubted() -> None:
    with pytest.raises(ProfileFace, match=r"^The face to change is seen from the side; take"):
        warnings_about(seen(MAX_TURN + 0.01), "The face to change")
    (turned,) = warnings_about(seen(MAX_TURN - 0.01), "It")
    assert turned.startswith("It is turned to one side")
    (unsure,) = warnings_about(seen(0.0, confidence=WARN_CONFIDENCE - 0.01), "It")
    assert unsure.startswith("It is hard to make out")
    assert warnings_about(seen(WARN_TURN - 0.01, confidence=WARN_CONFIDENCE), "It") == ()


def test_a_face_is_refused_the_more_the_farther_it_turns(shared_data: Path) -> None:
    cropper = FaceCropper()
    portraits = sorted((shared_data / "london").glob("*.jpg"))[::8]
    portraits += sorted((shared_data / "sfhq").glob("*.jpg"))[::4]
    for portrait in portraits:
        assert warnings_about(cropper.one(read_photo(portrait)), portrait.name) == ()
    assert len(portraits) > 30
