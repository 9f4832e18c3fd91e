"""The numbers of faces from frame to frame."""

import numpy as np

from demo.video.tracking import FaceTracker
from registry.faces import Face


def face(x: float, side: float = 100.0, keypoints: np.ndarray | None = None) -> Face:
    box = (float(x), 0.0, float(x + side), float(side))
    points = np.zeros((6, 2)) if keypoints is None else keypoints
    return Face(box=box, keypoints=points, confidence=1.0)


def test_faces_keep_their_numbers_while_they_move_whatever_their_order() -> None:
    tracker = FaceTracker()
    assert tracker.numbers(0.0, [face(0), face(300)]) == [1, 2]
    assert tracker.numbers(0.2, [face(280), face(30)]) == [2, 1]
    assert tracker.numbers(0.4, [face(60), face(250)]) == [1, 2]


def test_a_new_face_gets_the_next_number_also_where_another_left() -> None:
    tracker = FaceTracker()
    assert tracker.numbers(0.0, [face(0)]) == [1]
    assert tracker.numbers(0.2, [face(500), face(10)]) == [2, 1]
    assert tracker.numbers(0.4, [face(20, side=300)]) == [3]


def test_a_face_that_was_hidden_shortly_keeps_its_number() -> None:
    tracker = FaceTracker()
    assert tracker.numbers(0.0, [face(0)]) == [1]
    assert tracker.numbers(0.5, []) == []
    assert tracker.numbers(1.0, [face(10)]) == [1]
    assert tracker.numbers(9.0, [face(10)]) == [2]
