"""Which faces a transfer refuses or warns about, by pose and confidence, and which it misses.

    python benchmarks/transfer_limits.py ../shared/data

Portraits (london), synthetic people (sfhq), and faces from the news, film stills among them
(lfw_emotion, drawn with seed 0); then portraits and synthetic people with the mouth, the eyes or
one half covered, as line drawings, and reduced to few colours. The last five should all be warned
about: the table shows how many pose and confidence miss.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from zipfile import ZipFile

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from rich.console import Console
from rich.progress import track
from rich.table import Table

from demo.transfer_limits import MAX_TURN, WARN_CONFIDENCE, WARN_TURN, turn
from registry.faces import Face, FaceCropper
from registry.photos import read_photo

Photo = UInt8[np.ndarray, "h w 3"]
SPOILT_EVERY = 2
"""Every second person's neutral portrait is altered."""


def main(data: Path, most: int) -> None:
    """Measure and print a row for each kind of face."""
    cropper, table = FaceCropper(), Table("faces", "looked at", "found", *_columns())
    portraits, people = (sorted((data / name).glob("*.jpg")) for name in ("london", "sfhq"))
    table.add_row("london", *_row(map(read_photo, portraits), cropper))
    table.add_row("sfhq", *_row(map(read_photo, people), cropper))
    with ZipFile(data / "lfw_emotion.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        drawn = Random(0).sample(names, min(most, len(names)))  # noqa: S311
        table.add_row("lfw_emotion", *_row((read_photo(archive.read(n)) for n in drawn), cropper))
    open_faces = [p for p in portraits if p.stem.endswith("_03")][::SPOILT_EVERY] + people
    for name, spoil in SPOILT.items():
        spoilt = (spoil(photo, cropper.one(photo)) for photo in map(read_photo, open_faces))
        table.add_row(name, *_row(spoilt, cropper))
    Console(file=sys.stdout, width=130).print(table)


def _columns() -> tuple[str, ...]:
    return (
        "most turned",
        f"> {WARN_TURN} warned about",
        f"> {MAX_TURN} refused",
        f"sure < {WARN_CONFIDENCE}",
    )


def _row(photos: Iterable[Photo], cropper: FaceCropper) -> list[str]:
    looked = [cropper.faces(p) for p in track(list(photos), console=Console(stderr=True))]
    faces = [found[0] for found in looked if found]
    turns = np.array([turn(face) for face in faces])
    unsure = sum(face.confidence < WARN_CONFIDENCE for face in faces)
    counts = (int((turns > WARN_TURN).sum()), int((turns > MAX_TURN).sum()), unsure)
    shares = [f"{count} ({count / len(faces):.1%})" for count in counts]
    return [f"{len(looked):,}", f"{len(faces):,}", f"{turns.max():.2f}", *shares]


def _covered(
    left: float, top: float, right: float, bottom: float
) -> Callable[[Photo, Face], Photo]:
    """Return a function that covers a box of a face; edges in sides of the face from its centre."""

    def cover(photo: Photo, face: Face) -> Photo:
        (x, y), side, copy = face.centre, face.side, Image.fromarray(photo)
        box = (x + left * side, y + top * side, x + right * side, y + bottom * side)
        ImageDraw.Draw(copy).rectangle(box, fill=(200, 170, 150))
        return np.array(copy)

    return cover


def _lines(photo: Photo, _face: Face) -> Photo:
    grey = Image.fromarray(photo).convert("L").filter(ImageFilter.SMOOTH_MORE)
    drawn = ImageOps.invert(grey.filter(ImageFilter.FIND_EDGES))
    return np.array(ImageOps.autocontrast(drawn).convert("RGB"))


def _flat(photo: Photo, _face: Face) -> Photo:
    smooth = Image.fromarray(photo).filter(ImageFilter.ModeFilter(9))
    return np.array(ImageOps.posterize(smooth, 2))


SPOILT = {
    "mouth covered": _covered(-0.45, 0.05, 0.45, 0.6),
    "eyes covered": _covered(-0.5, -0.25, 0.5, 0.0),
    "one half covered": _covered(0.0, -0.6, 0.6, 0.6),
    "line drawing": _lines,
    "flat colours": _flat,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with london/, sfhq/, lfw_emotion.zip")
    parser.add_argument("--most", type=int, default=1500, help="faces from the news")
    arguments = parser.parse_args()
    main(arguments.data, arguments.most)
