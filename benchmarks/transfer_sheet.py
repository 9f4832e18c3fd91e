"""A sheet of transfers between photos, to be looked at: a face that pleases no eye does not pass.

    python benchmarks/transfer_sheet.py sheet.png --sources A.jpg B.jpg --drivers C.jpg D.jpg

What pix2pixhd in production makes of each source (a line) with each driver's expression (a column),
as on the page. Results that fail their own check have a red edge; how many they are is printed.
"""

import argparse
from pathlib import Path

from demo.contact_sheet import contact_sheet
from demo.marking import encode_png
from demo.models import ModelServer
from demo.predictors import read_photo_with_faces
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
    cropper, server = FaceCropper(), ModelServer()
    sources, drivers = (
        [read_photo_with_faces(path, cropper) for path in paths]
        for paths in (arguments.sources, arguments.drivers)
    )
    spec = server.model(PIX2PIXHD.name).version.crop
    made = contact_sheet(ExpressionTransfer(server), spec, sources, drivers)
    server.close()
    arguments.sheet.write_bytes(encode_png(made.picture))
    print(f"{made.failed} of {made.results} results fail their own check; see {arguments.sheet}")
