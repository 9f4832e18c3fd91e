"""Faces from the side are refused, half turned ones get a warning, and all portraits pass."""

from pathlib import Path

import numpy as np
import pytest

from demo.transfer_limits import (
    MAX_TURN,
    WARN_CONFIDENCE,
    WARN_TURN,
    ProfileFace,
    turn,
    warnings_about,
)
from registry.faces import Face, FaceCropper
from registry.photos import read_photo


def face(turned: float, roll: float = 0.0, confidence: float = 0.9) -> Face:
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
    assert turn(face(side, roll)) == pytest.approx(abs(side), abs=1e-9)


def test_a_profile_is_refused_and_a_slight_turn_gets_a_warning() -> None:
    with pytest.raises(ProfileFace, match=r"^The face to change is seen from the side; take"):
        warnings_about(face(MAX_TURN + 0.01), "The face to change")
    (turned,) = warnings_about(face(MAX_TURN - 0.01), "It")
    assert turned.startswith("It is turned to one side")
    (unsure,) = warnings_about(face(0.0, confidence=WARN_CONFIDENCE - 0.01), "It")
    assert unsure.startswith("It is hard to recognise")
    assert warnings_about(face(WARN_TURN - 0.01, confidence=WARN_CONFIDENCE), "It") == ()


def test_of_real_and_synthetic_portraits_the_two_turned_heads_get_a_warning(
    shared_data: Path,
) -> None:
    cropper = FaceCropper()
    portraits = sorted((shared_data / "london").glob("*.jpg"))[::8]
    portraits += sorted((shared_data / "sfhq").glob("*.jpg"))
    warned = {p.name for p in portraits if warnings_about(cropper.one(read_photo(p)), p.name)}
    assert len(portraits) > 70
    assert warned == {"grim_09.jpg", "sad_04.jpg"}
