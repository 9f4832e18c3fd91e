"""Faces found in photos of 12 megapixels, and the time that takes.

    python benchmarks/detection.py DATA

Pastes the synthetic people of DATA/sfhq, with bare faces of a stated side, into a picture of soft
blobs: a selfie with three far faces, a crowd of mixed sizes, and crowds of one size each. Prints
the faces found at their places, other finds, and the shortest and median seconds of detection.
"""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from registry.faces import Face, FaceCropper
from registry.photos import read_photo

WIDTH, HEIGHT = 4000, 3000
CELLS = (12, 50, 200, 800)
ROUNDS = 5
SCENES: dict[str, list[int]] = {
    "selfie with three far faces": [1100, 45, 60, 80],
    "20 faces of 40 to 100 px": list(range(40, 100, 3)),
    **{f"20 faces of {px} px": [px] * 20 for px in (40, 44, 50, 60, 100)},
}
Person = tuple[Image.Image, Face]
Place = tuple[float, float, int]


def background(rng: np.random.Generator) -> Image.Image:
    """Return soft coloured blobs of many sizes."""
    scene = np.full((HEIGHT, WIDTH, 3), 120.0, np.float32)
    for cell in CELLS:
        noise = rng.integers(0, 256, (HEIGHT // cell + 2, WIDTH // cell + 2, 3), np.uint8)
        blobs = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        scene += (np.asarray(blobs, np.float32) - 128) * 0.2
    return Image.fromarray(scene.clip(0, 255).astype(np.uint8))


def draw(
    people: Sequence[Person], sizes: Sequence[int], rng: np.random.Generator
) -> tuple[np.ndarray, list[Place]]:
    """Return a scene, and x, y and side of each face in it; no photo covers another."""
    scene, taken, places = background(rng), np.zeros((HEIGHT, WIDTH), bool), []
    for number, px in enumerate(sizes):
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
        places.append((left + face.centre[0] * scale, top + face.centre[1] * scale, px))
    return np.array(scene), places


def at_places(faces: Sequence[Face], places: Sequence[Place]) -> int:
    """Return how many of the places have a face of about their size."""
    return sum(
        any(
            math.dist(face.centre, (x, y)) < px / 2 and 0.6 < face.side / px < 1.6 for face in faces
        )
        for x, y, px in places
    )


def main() -> None:
    """Measure every scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with sfhq/")
    cropper, rng = FaceCropper(), np.random.default_rng(0)
    photos = [
        read_photo(path) for path in sorted((parser.parse_args().data / "sfhq").glob("*.jpg"))
    ]
    people = [(Image.fromarray(photo), cropper.one(photo)) for photo in photos]
    for name, sizes in SCENES.items():
        scene, places = draw(people, sizes, rng)
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            faces = cropper.faces(scene)
            seconds.append(time.perf_counter() - started)
        found = at_places(faces, places)
        print(
            f"{name}: {found} of {len(places)} found, {len(faces) - found} others, "
            f"shortest {min(seconds):.2f} s, median {statistics.median(seconds):.2f} s"
        )


if __name__ == "__main__":
    main()
