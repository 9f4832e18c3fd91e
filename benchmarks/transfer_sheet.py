"""A sheet of transfers between photos, to be looked at: a face that pleases no eye does not pass.

    python benchmarks/transfer_sheet.py sheet.png --sources A.jpg B.jpg --drivers C.jpg D.jpg

What pix2pixhd in production makes of each source (a line) with each driver's expression (a column),
as on the page. Results that fail their own check have a red edge; how many they are is printed.
"""

import argparse
from pathlib import Path

from demo.marking import png
from demo.models import ModelServer
from demo.predictors import look
from demo.sheet import sheet
from demo.transfer import ExpressionTransfer
from registry.catalog import PIX2PIXHD
from registry.faces import FaceCropper

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("sheet", type=Path, metavar="PNG")
parser.add_argument("--sources", type=Path, nargs="+", required=True, metavar="PHOTO")
parser.add_argument("--drivers", type=Path, nargs="+", required=True, metavar="PHOTO")


if __name__ == "__main__":
    arguments = parser.parse_args()
    cropper, served = FaceCropper(), ModelServer()
    sources, drivers = (
        [look(path, cropper) for path in paths] for paths in (arguments.sources, arguments.drivers)
    )
    spec = served.model(PIX2PIXHD.name).version.crop
    made = sheet(ExpressionTransfer(served), spec, sources, drivers)
    served.close()
    arguments.sheet.write_bytes(png(made.picture))
    print(f"{made.failed} of {made.results} results fail their own check; see {arguments.sheet}")
