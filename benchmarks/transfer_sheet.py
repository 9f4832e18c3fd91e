"""A sheet of transfers between photos, to be looked at: a face that pleases no eye does not pass.

    python benchmarks/transfer_sheet.py sheet.png --sources A.jpg B.jpg --drivers C.jpg D.jpg

Drivers stand in the first line, sources in the first column, and what pix2pixhd in production makes
of them where they meet, as on the page. Results that fail their own check have a red edge; how many
they are is printed. Generated pictures: the sheet says so.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from demo.marking import png
from demo.models import Served
from demo.predictors import Photo, look
from demo.transfer import BAD, ExpressionTransfer
from registry.catalog import PIX2PIXHD
from registry.faces import CropSpec, FaceCropper

EDGE = 3
FAILED, PASSED = "#c62828", "#ffffff"


def sheet(sources: Sequence[Photo], drivers: Sequence[Photo]) -> tuple[Image.Image, int]:
    """Return the sheet, and how many results fail their own check."""
    served = Served()
    spec = served.model(PIX2PIXHD.name).version.crop
    transfers, failed = ExpressionTransfer(served), 0
    lines = [[_blank(spec), *(_cell(driver.crop(0, spec).pixels) for driver in drivers)]]
    for source in sources:
        line = [_cell(source.crop(0, spec).pixels)]
        for driver in drivers:
            answer = transfers.transfer(source, driver)
            bad = answer.sentence == BAD
            failed += bad
            line.append(_cell(answer.crop, FAILED if bad else PASSED))
        lines.append(line)
    served.close()
    return Image.fromarray(np.vstack([np.hstack(line) for line in lines])), failed


def _cell(face: np.ndarray, edge: str = PASSED) -> np.ndarray:
    return np.asarray(ImageOps.expand(Image.fromarray(face), EDGE, edge))


def _blank(spec: CropSpec) -> np.ndarray:
    cell = Image.new("RGB", (spec.size_px + 2 * EDGE,) * 2, PASSED)
    ImageDraw.Draw(cell).text((2 * EDGE, 2 * EDGE), "generated\npictures", fill="black")
    return np.asarray(cell)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sheet", type=Path, metavar="PNG")
    parser.add_argument("--sources", type=Path, nargs="+", required=True)
    parser.add_argument("--drivers", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    cropper = FaceCropper()
    shown, failures = sheet(
        *(
            [look(path, cropper) for path in paths]
            for paths in (arguments.sources, arguments.drivers)
        )
    )
    arguments.sheet.write_bytes(png(np.asarray(shown)))
    count = len(arguments.sources) * len(arguments.drivers)
    print(f"{failures} of {count} results fail their own check; {arguments.sheet}")
