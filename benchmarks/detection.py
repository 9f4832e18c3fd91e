"""Faces found in photos, and the time that takes.

    python benchmarks/detection.py DATA

Photos of 12 megapixels are made of the synthetic people of DATA/sfhq, with bare faces of a stated
side, in a picture of soft blobs: a selfie with three far faces, crowds of mixed sizes, and crowds
of one size each. Beside them: portraits of one face, as visitors send them, a picture without a
face, and a crowd in 100 megapixels. Prints the faces found at their places, other finds, the
shortest and median seconds of detection, and the seconds of CPU of one detection.
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from registry.faces import Face, FaceCropper
from registry.photos import read_photo

PIXELS_12, PIXELS_100 = (4000, 3000), (11600, 8700)
CELLS = (12, 50, 200, 800)
ROUNDS = 5
SCENES: dict[str, list[int]] = {
    "selfie with three far faces": [1100, 45, 60, 80],
    "20 faces of 40 to 100 px": list(range(40, 100, 3)),
    **{f"20 faces of {px} px": [px] * 20 for px in (40, 44, 50, 60, 100)},
    "50 faces of 40 to 200 px": [40 + 160 * number // 49 for number in range(50)],
    "no face": [],
    "one face of a third of the height": [PIXELS_12[1] // 3],
}
COLUMNS = ("photo", "faces", "found", "others", "shortest s", "median s", "CPU s")
Person = tuple[Image.Image, Face]
Place = tuple[float, float, float]
Scene = tuple[UInt8[np.ndarray, "h w 3"], list[Place]]


@dataclass(frozen=True)
class Row:
    """What was found in one scene, and the seconds that took."""

    name: str
    faces: int
    found: int
    others: int
    shortest: float
    median: float
    cpu: float

    def cells(self) -> list[str]:
        """Return the row as it is printed."""
        counts = [str(count) for count in (self.faces, self.found, self.others)]
        seconds = [f"{each:.3f}" for each in (self.shortest, self.median, self.cpu)]
        return [self.name, *counts, *seconds]


def background(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Return soft coloured blobs of many sizes."""
    width, height = size
    scene = np.full((height, width, 3), 120.0, np.float32)
    for cell in CELLS:
        noise = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3), np.uint8)
        blobs = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        scene += (np.asarray(blobs, np.float32) - 128) * 0.2
    return Image.fromarray(scene.clip(0, 255).astype(np.uint8))


def crowd(
    people: Sequence[Person],
    sides: Sequence[int],
    rng: np.random.Generator,
    size: tuple[int, int] = PIXELS_12,
) -> Scene:
    """Return a scene, and x, y and side of each face in it; no photo covers another."""
    scene, taken, places = background(size, rng), np.zeros(size[::-1], bool), []
    for number, px in enumerate(sides):
        photo, face = people[number % len(people)]
        scale = px / face.side
        small = photo.resize((round(photo.width * scale), round(photo.height * scale)))
        while True:
            left, top = (int(rng.integers(0, n)) for n in np.subtract(scene.size, small.size))
            part = taken[top : top + small.height, left : left + small.width]
            if not part.any():
                break
        part[:] = True
        scene.paste(small, (left, top))
        places.append((left + face.centre[0] * scale, top + face.centre[1] * scale, float(px)))
    return np.array(scene), places


def portrait(person: Person, scale: float) -> Scene:
    """Return one person's photo, scaled."""
    photo, face = person
    x, y = face.centre
    scaled = photo.resize(
        (round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS
    )
    return np.array(scaled), [(x * scale, y * scale, face.side * scale)]


def scenes(people: Sequence[Person], rng: np.random.Generator) -> Iterator[tuple[str, Scene]]:
    """Yield each scene and its name, one at a time."""
    photo, _ = people[0]
    yield "portrait of 0.1 megapixels", portrait(people[0], 1.0)
    scale = math.sqrt(math.prod(PIXELS_12) / (photo.width * photo.height))
    yield "portrait enlarged to 12 megapixels", portrait(people[0], scale)
    for name, sides in SCENES.items():
        yield name, crowd(people, sides, rng)
    sides = list(range(150, 350, 10))
    yield "100 megapixels, 20 faces of 150 to 340 px", crowd(people, sides, rng, PIXELS_100)


def at_places(faces: Sequence[Face], places: Sequence[Place]) -> int:
    """Return how many of the places have a face of about their size."""
    return sum(
        any(
            math.dist(face.centre, (x, y)) < px / 2 and 0.6 < face.side / px < 1.6 for face in faces
        )
        for x, y, px in places
    )


def measured(name: str, scene: Scene, cropper: FaceCropper) -> Row:
    """Return what the cropper finds in a scene, and the time it takes."""
    photo, places = scene
    seconds, cpu = [], time.process_time()
    for _ in range(ROUNDS):
        started = time.perf_counter()
        faces = cropper.faces(photo)
        seconds.append(time.perf_counter() - started)
    cpu = (time.process_time() - cpu) / ROUNDS
    found = at_places(faces, places)
    median = statistics.median(seconds)
    return Row(name, len(places), found, len(faces) - found, min(seconds), median, cpu)


def main() -> None:
    """Measure every scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with sfhq/")
    cropper, rng = FaceCropper(), np.random.default_rng(0)
    paths = sorted((parser.parse_args().data / "sfhq").glob("*.jpg"))
    photos = [read_photo(path) for path in paths]
    people = [(Image.fromarray(photo), cropper.one(photo)) for photo in photos]
    print(" | ".join(COLUMNS))
    rows = []
    for name, scene in scenes(people, rng):
        rows.append(measured(name, scene, cropper))
        print(" | ".join(rows[-1].cells()), flush=True)
    sums = [sum(column) for column in zip(*(astuple(row)[1:] for row in rows), strict=True)]
    print(" | ".join(Row("total", *sums).cells()))


if __name__ == "__main__":
    main()
