"""A sheet of transfers, to compare a generator's results by eye."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from demo.predictors import Photo
from demo.transfer import BAD, ExpressionTransfer
from registry.crops import CropSpec

EDGE_PX = 3
FAILED, PASSED = "#c62828", "#ffffff"


class ContactSheet(NamedTuple):
    """Drivers in the first row, sources in the first column, results where they meet.

    Results that fail their own check have a red edge.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    """Without a mark: `demo.marking` adds it."""
    failed: int
    results: int


def contact_sheet(
    transfer: ExpressionTransfer, spec: CropSpec, sources: Sequence[Photo], drivers: Sequence[Photo]
) -> ContactSheet:
    """Return each source with each driver's expression; raises as `ExpressionTransfer.transfer`."""
    side = spec.size_px + 2 * EDGE_PX
    corner = np.full((side, side, 3), 255, dtype=np.uint8)
    rows = [[corner, *(_photo_cell(driver, spec) for driver in drivers)]]
    failed = 0
    for source in sources:
        answers = [transfer.transfer(source, driver) for driver in drivers]
        edges = [FAILED if answer.sentence == BAD else PASSED for answer in answers]
        failed += edges.count(FAILED)
        cells = [_cell(answer.crop, edge) for answer, edge in zip(answers, edges, strict=True)]
        rows.append([_photo_cell(source, spec), *cells])
    picture = np.vstack([np.hstack(row) for row in rows])
    return ContactSheet(picture, failed, len(sources) * len(drivers))


def _photo_cell(photo: Photo, spec: CropSpec) -> UInt8[np.ndarray, "s s 3"]:
    return _cell(photo.crop(0, spec).pixels, PASSED)


def _cell(face: UInt8[np.ndarray, "s s 3"], edge: str) -> UInt8[np.ndarray, "t t 3"]:
    return np.asarray(ImageOps.expand(Image.fromarray(face), EDGE_PX, edge))
