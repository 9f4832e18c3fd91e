"""A sheet of transfers: a generator is judged by looking."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from demo.predictors import Photo
from demo.transfer import BAD, ExpressionTransfer
from registry.crops import CropSpec

EDGE = 3
FAILED, PASSED = "#c62828", "#ffffff"


class Sheet(NamedTuple):
    """Drivers in the first line, sources in the first column, results where they meet.

    Results that fail their own check have a red edge.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    """Unmarked: `demo.marking` marks it."""
    failed: int
    results: int


def sheet(
    transfer: ExpressionTransfer, spec: CropSpec, sources: Sequence[Photo], drivers: Sequence[Photo]
) -> Sheet:
    """Return what is made of each source with each driver's expression; raises as `transfer`."""
    side = spec.size_px + 2 * EDGE
    lines = [[np.full((side, side, 3), 255, dtype=np.uint8), *(_own(d, spec) for d in drivers)]]
    failed = 0
    for source in sources:
        answers = [transfer.transfer(source, driver) for driver in drivers]
        bad = [answer.sentence == BAD for answer in answers]
        failed += sum(bad)
        edges = [FAILED if failing else PASSED for failing in bad]
        made = [_cell(a.crop, edge) for a, edge in zip(answers, edges, strict=True)]
        lines.append([_own(source, spec), *made])
    picture = np.vstack([np.hstack(line) for line in lines])
    return Sheet(picture, failed, len(sources) * len(drivers))


def _own(photo: Photo, spec: CropSpec) -> UInt8[np.ndarray, "s s 3"]:
    return _cell(photo.crop(0, spec).pixels, PASSED)


def _cell(face: UInt8[np.ndarray, "s s 3"], edge: str) -> UInt8[np.ndarray, "t t 3"]:
    return np.asarray(ImageOps.expand(Image.fromarray(face), EDGE, edge))
