"""How well FaceCropper finds faces that fill the picture.

    python benchmarks/tight_faces.py ../shared/data

Each face is found in the whole photo, then the photo is cut to a square around it, not turned, and
the face is looked for again in that alone. Printed are, by set and margin of the cut, how many
aren't found, whose side is off by more than 15 % of that in the whole photo, and the mean
difference of the roll in degrees. Photos in which not exactly one face is found are left out, and
so are faces whose cut would leave the photo. lfw-emotion's are drawn with seed 0.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from zipfile import ZipFile

import numpy as np
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import track
from rich.table import Table

from registry.faces import FaceCropper
from registry.faces.face import Face
from registry.photos import read_photo

MARGINS = (0.0, 0.1, 0.2, 0.4)
OFF = 0.15
PHOTOS = 200
"""Most photos of a set."""
NEWS = "lfw_emotion.zip"


def main(data: Path, limit: int) -> None:
    """Measure and print a row for each set and margin."""
    head, *rows = cells(data, limit)
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout).print(table)


def cells(data: Path, limit: int) -> list[list[str]]:
    """Return a row for each set and margin, the head first.

    Args:
        data: folder with the shared data.
        limit: most photos of a set.
    """
    rows = [["set", "margin", "faces", "not found", "size off", "roll off, mean degrees"]]
    cropper = FaceCropper()
    for name in ("london", "sfhq", NEWS):
        cuts: dict[float, list[tuple[float, float] | None]] = {m: [] for m in MARGINS}
        for photo in track(list(islice(_photos(data / name), limit)), name, console=_stderr()):
            for margin, found in _cuts(cropper, photo):
                cuts[margin].append(found)
        for margin, every in cuts.items():
            title = name.removesuffix(".zip").replace("_", "-")
            rows.append([title, f"{margin:g}", str(len(every)), *_summary(every)])
    return rows


def _cuts(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"]
) -> Iterator[tuple[float, tuple[float, float] | None]]:
    """Yield for each margin the ratio of the sides and the difference of roll; None: not found."""
    faces = cropper.faces(photo)
    if len(faces) != 1 or faces[0].uncertain_roll:
        return
    for margin in MARGINS:
        half = faces[0].side * (1 + margin) / 2
        corner = np.subtract(faces[0].centre, half)
        if min(corner) < 0 or (corner + 2 * half > photo.shape[1::-1]).any():
            continue
        left, top = corner.round().astype(int)
        side = round(2 * half)
        cut = photo[top : top + side, left : left + side]
        yield margin, _compared(faces[0], cropper.faces(np.ascontiguousarray(cut)))


def _compared(face: Face, found: list[Face]) -> tuple[float, float] | None:
    if not found:
        return None
    turn = (found[0].angle - face.angle + 180) % 360 - 180
    return found[0].side / face.side, abs(turn)


def _summary(every: list[tuple[float, float] | None]) -> list[str]:
    found = np.array([each for each in every if each is not None]).reshape(-1, 2)
    off = (np.abs(found[:, 0] - 1) > OFF).sum()
    return [
        str(len(every) - len(found)),
        str(off),
        f"{found[:, 1].mean() if len(found) else 0:.1f}",
    ]


def _photos(path: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    if path.is_dir():
        for file in sorted(path.glob("*.jpg")):
            yield read_photo(file)
        return
    with ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        Random(0).shuffle(names)  # noqa: S311
        for name in names:
            yield read_photo(archive.read(name))


def _stderr() -> Console:
    return Console(stderr=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the shared data")
    parser.add_argument("--limit", type=int, default=PHOTOS, help="most photos of a set")
    arguments = parser.parse_args()
    main(arguments.data, arguments.limit)
