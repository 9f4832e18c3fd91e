"""Item 2: small faces are found beside large ones, each once, and nothing else is."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image, ImageFilter

from demo.predictors import read_photo_with_faces
from registry.faces import Face, FaceCropper
from registry.faces.roll import KEPT_DEGREES
from registry.photos import read_photo

MEGAPIXELS_12 = (4000, 3000)
FAR_PX, CROWD_PX = 40, 50
"""Sides of the bare faces in the scenes, in pixels."""
FAINT_PX, FAINT = 60, 0.3
"""Side of a faint face in pixels, and the part of its contrast that is left."""
Placed = tuple[float, float, float]


pytestmark = pytest.mark.xdist_group("small-faces")  # fixtures that take seconds


@pytest.fixture(scope="module")
def cropper() -> FaceCropper:
    return FaceCropper()


@pytest.fixture(scope="module")
def people(examples: Path, cropper: FaceCropper) -> list[tuple[Image.Image, Face]]:
    photos = [read_photo(path) for path in sorted(examples.glob("*.jpg"))]
    return [(Image.fromarray(photo), cropper.one(photo)) for photo in photos]


def texture(size: tuple[int, int], seed: int) -> Image.Image:
    """Return soft coloured blobs of many sizes, as walls, clouds and leaves have."""
    rng = np.random.default_rng(seed)
    scene = np.full((size[1], size[0], 3), 120.0, np.float32)
    for cell in (12, 50, 200, 800):
        noise = rng.integers(0, 256, (size[1] // cell + 2, size[0] // cell + 2, 3), np.uint8)
        blobs = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        scene += (np.asarray(blobs, np.float32) - 128) * 0.2
    return Image.fromarray(scene.clip(0, 255).astype(np.uint8))


def paste(scene: Image.Image, person: tuple[Image.Image, Face], px: int, at: Placed) -> Placed:
    """Paste a photo whose bare face then has `px` a side; return where the face is."""
    photo, face = person
    scale = px / face.side
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)))
    scene.paste(small, (round(at[0]), round(at[1])))
    x, y = face.centre
    return at[0] + x * scale, at[1] + y * scale, float(px)


def assert_found(faces: Sequence[Face], placed: Sequence[Placed]) -> None:
    """Check that there is one face at each place, and no other."""
    assert len(faces) == len(placed)
    for x, y, px in placed:
        here = [face for face in faces if math.dist(face.centre, (x, y)) < px / 2]
        assert len(here) == 1
        assert 0.6 < here[0].side / px < 1.6


def test_three_far_faces_are_found_beside_a_near_one(
    people: list[tuple[Image.Image, Face]], cropper: FaceCropper, tmp_path: Path
) -> None:
    scene = texture(MEGAPIXELS_12, 0)
    placed = [paste(scene, people[0], 1100, (300, 600, 0))]
    for number, (left, top) in enumerate([(2600, 300), (3300, 900), (2900, 2100)], start=1):
        placed.append(paste(scene, people[number], FAR_PX + 10 * (number - 1), (left, top, 0)))
    scene.save(tmp_path / "selfie.jpg", quality=90)
    photo = read_photo_with_faces(tmp_path / "selfie.jpg", cropper)
    assert_found(photo.faces, placed)
    assert photo.face(0).side > 1000


def test_far_faces_alone_are_all_found(
    people: list[tuple[Image.Image, Face]], cropper: FaceCropper
) -> None:
    scene = texture((1700, 2500), 1)
    placed = [
        paste(scene, people[number], px, at)
        for number, (px, at) in enumerate(
            [(FAR_PX, (200, 400, 0)), (70, (1300, 900, 0)), (110, (600, 1900, 0))]
        )
    ]
    assert_found(cropper.faces(np.array(scene)), placed)


def test_a_crowd_of_twenty_is_found(
    people: list[tuple[Image.Image, Face]], cropper: FaceCropper
) -> None:
    scene = texture(MEGAPIXELS_12, 2)
    rng = np.random.default_rng(2)
    placed = []
    for number in range(20):
        row, column = divmod(number, 5)
        left, top = 800 * column + rng.integers(0, 500), 750 * row + rng.integers(0, 450)
        person = people[number % len(people)]
        placed.append(paste(scene, person, CROWD_PX + 5 * number, (float(left), float(top), 0)))
    assert_found(cropper.faces(np.array(scene)), placed)


def test_a_faint_face_before_a_plain_wall_is_found(
    people: list[tuple[Image.Image, Face]], cropper: FaceCropper
) -> None:
    wall = Image.new("RGB", MEGAPIXELS_12, (120, 120, 120))
    scene = wall.copy()
    placed = paste(scene, people[0], FAINT_PX, (2000, 700, 0))
    assert_found(cropper.faces(np.array(Image.blend(wall, scene, FAINT))), [placed])


def test_small_faces_of_a_turned_photo_are_found(
    people: list[tuple[Image.Image, Face]], cropper: FaceCropper
) -> None:
    scene = texture((1600, 1200), 3)
    for number in range(3):
        paste(scene, people[number], 60 + 20 * number, (150 + 500 * number, 300.0, 0))
    faces = cropper.faces(np.ascontiguousarray(np.rot90(np.array(scene))))
    assert len(faces) == 3
    rolls = [person.angle - 90 for _, person in reversed(people[:3])]
    for face, roll in zip(faces, rolls, strict=True):
        assert abs(face.angle - roll) < KEPT_DEGREES


def noise() -> Image.Image:
    pixels = np.random.default_rng(4).integers(0, 256, (1500, 2000, 3), np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2))


def stripes() -> Image.Image:
    row = (128 + 100 * np.sin(np.arange(1800) / 7)).astype(np.uint8)
    return Image.fromarray(np.tile(row, (1200, 1))).convert("RGB").rotate(20)


@pytest.mark.parametrize("draw", [noise, stripes, lambda: texture((2000, 1500), 5)])
def test_nothing_is_found_in_textures(
    cropper: FaceCropper, draw: Callable[[], Image.Image]
) -> None:
    assert cropper.faces(np.array(draw())) == []


def test_a_near_face_alone_is_one_face(
    people: list[tuple[Image.Image, Face]], cropper: FaceCropper
) -> None:
    photo: UInt8[np.ndarray, "h w 3"] = np.array(
        people[1][0].resize((1600, 2300), Image.Resampling.LANCZOS)
    )
    assert len(cropper.faces(photo)) == 1
