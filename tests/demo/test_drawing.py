"""Drawings are to scale, in view, and described in words."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.answers import PAIRS, Distances
from demo.drawing import (
    CHOSEN,
    LONGEST_PX,
    SHORTEST_PX,
    VIEW_HEIGHT,
    VIEW_WIDTH,
    draw_boxes,
    outward,
    shared_scale,
    triangle,
    triangle_corners,
)
from demo.predictors import Photo
from registry.faces import Face, FaceCropper


def between(points: np.ndarray) -> list[float]:
    return [float(np.linalg.norm(points[i - 1] - points[j - 1])) for i, j in PAIRS]


vectors = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=3, max_size=3).filter(
    lambda v: np.linalg.norm(v) > 0
)
triples = st.tuples(vectors, vectors, vectors).map(
    lambda rows: np.array([np.array(row) / np.linalg.norm(row) for row in rows])
)


@given(triples)
def test_edges_are_as_long_as_the_distances(rows: np.ndarray) -> None:
    distances = tuple(between(rows))
    assert between(triangle_corners(distances)) == pytest.approx(distances, abs=1e-6)


@given(triples)
def test_all_of_it_is_in_view(rows: np.ndarray) -> None:
    distances = tuple(between(rows))
    svg = triangle(distances, shared_scale(distances), label="three", faces=["a", "b", "c"])
    tree = ET.fromstring(svg)  # noqa: S314
    for circle in tree.iter("circle"):
        x, y, r = (float(circle.attrib[key]) for key in ("cx", "cy", "r"))
        assert r <= x <= VIEW_WIDTH - r
        assert r <= y <= VIEW_HEIGHT - r


@pytest.mark.parametrize("distances", [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.5, 0.5)])
def test_faces_at_one_point_or_on_one_line_are_drawn_apart(distances: Distances) -> None:
    points = triangle_corners(distances)
    away = points + 0.2 * outward(points)
    assert min(between(away)) > 0.1
    assert np.isfinite(away).all()


def test_two_triangles_share_a_scale_and_the_closest_pair_stands_out() -> None:
    first, second = (0.2, 1.0, 1.1), (0.4, 0.4, 0.4)
    scale = shared_scale(first, second)
    svg = triangle(first, scale, label='"1 & 2"', pair=(1, 2))
    lengths = edge_lengths(svg)
    assert lengths == pytest.approx([scale * d for d in first], abs=0.2)
    assert edge_lengths(triangle(second, scale, label="")) == pytest.approx([0.4 * scale] * 3, 0.01)
    tree = ET.fromstring(svg)  # noqa: S314
    assert [line.attrib["class"] for line in tree.iter("line")] == ["edge closest", "edge", "edge"]
    assert tree.attrib["aria-label"] == '"1 & 2"'
    assert re.findall(r">(\d)</text>", svg) == ["1", "2", "3"]


def edge_lengths(svg: str) -> list[float]:
    lines = ET.fromstring(svg).iter("line")  # noqa: S314
    ends = [[float(line.attrib[key]) for key in ("x1", "y1", "x2", "y2")] for line in lines]
    return [float(np.hypot(x1 - x2, y1 - y2)) for x1, y1, x2, y2 in ends]


@pytest.mark.parametrize(("side", "shown"), [(60, SHORTEST_PX), (700, 700), (3000, LONGEST_PX)])
def test_faces_are_boxed_where_they_are_and_the_chosen_one_stands_out(
    side: int, shown: int
) -> None:
    grey = np.full((side, side, 3), 120, np.uint8)
    photo = Photo(grey, tuple(face(side, left) for left in (0.1, 0.6)), FaceCropper())
    drawn = draw_boxes(photo, 1, [["1"], ["2"]])
    assert drawn.shape == (shown, shown, 3)
    middle = round(0.5 * shown)
    row = (np.abs(drawn[middle].astype(int) - rgb(CHOSEN)).sum(1) < 12).nonzero()[0] / shown
    assert row.min() == pytest.approx(0.6, abs=0.02)
    assert row.max() == pytest.approx(0.9, abs=0.02)
    white = (drawn[middle] > 240).all(1).nonzero()[0] / shown
    assert white.min() == pytest.approx(0.1, abs=0.02)
    assert (grey == 120).all()


def face(side: int, left: float) -> Face:
    box = (left * side, 0.3 * side, (left + 0.3) * side, 0.7 * side)
    return Face(box=box, keypoints=np.zeros((6, 2)), confidence=1.0)


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
