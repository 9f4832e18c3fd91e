"""A sheet of transfers between photos, to look at: no metric says whether a face looks right.

    python benchmarks/transfer_sheet.py sheet.png --sources A.jpg B.jpg --drivers C.jpg D.jpg

Each source (a row) with each driver's expression (a column), by pix2pixhd in production, as on the
page. Results that fail their own check have a red edge; their number is printed.
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
    sheet = contact_sheet(ExpressionTransfer(server), spec, sources, drivers)
    server.close()
    arguments.sheet.write_bytes(encode_png(sheet.picture))
    print(f"{sheet.failed} of {sheet.results} results fail their own check; see {arguments.sheet}")
