import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from registry.crops import Crop, CropSpec, recut, to_tensor
from registry.faces import Face, FaceCropper, NoFace
from registry.photos import read_photo

SPEC = CropSpec(size_px=112, margin=0.05)
WIDE = CropSpec(size_px=256, margin=0.4)
PEOPLE = ("angry_02", "sad_01", "smiling_05", "surprised_02")


@pytest.fixture(scope="module")
def cropper() -> FaceCropper:
    return FaceCropper()


@pytest.fixture(params=PEOPLE)
def photo(request: pytest.FixtureRequest, examples: Path) -> UInt8[np.ndarray, "h w 3"]:
    return read_photo(examples / f"{request.param}.jpg")


def crop_of(cropper: FaceCropper, photo: np.ndarray, spec: CropSpec = SPEC) -> Crop:
    return cropper.crop(photo, cropper.one(photo), spec)


def wall(height: int, width: int, photos: list[tuple[np.ndarray, int, int, int]]) -> np.ndarray:
    """Return a plain wall with (photo, width, left, top) hung on it."""
    scene = Image.new("RGB", (width, height), (150, 140, 130))
    for photo, wide, left, top in photos:
        tall = round(photo.shape[0] * wide / photo.shape[1])
        scene.paste(Image.fromarray(photo).resize((wide, tall)), (left, top))
    return np.array(scene)


def apart(a: Crop | np.ndarray, b: Crop | np.ndarray) -> float:
    """Return the mean difference in levels of 255, after a blur of a few pixels."""
    small = [
        Image.fromarray(c.pixels if isinstance(c, Crop) else c).resize((28, 28)) for c in (a, b)
    ]
    return float(np.abs(np.subtract(*(np.asarray(s, np.float32) for s in small))).mean())


def in_crop(crop: Crop, points: np.ndarray) -> np.ndarray:
    turn, shift = crop.to_photo[:, :2], crop.to_photo[:, 2]
    return np.linalg.solve(turn, (points - shift).T).T


def corners_apart(a: Crop, b: Crop, way: np.ndarray) -> float:
    """Return how far the corners of b lie from a's, taken `way`, in parts of b's side."""
    square = np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)]) * (112, 112, 1)
    there = square @ a.to_photo.T @ way[:, :2].T + way[:, 2]
    here = square @ b.to_photo.T
    return float(np.linalg.norm(there - here, axis=1).max() / np.linalg.norm(here[1] - here[0]))


@pytest.mark.parametrize("times", [0.5, 2.0, 6.0])
def test_a_crop_survives_scaling(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"], times: float
) -> None:
    size = (round(photo.shape[1] * times), round(photo.shape[0] * times))
    scaled = np.array(Image.fromarray(photo).resize(size))
    before, after = crop_of(cropper, photo), crop_of(cropper, scaled)
    assert corners_apart(before, after, np.array([(times, 0, 0), (0, times, 0)])) < 0.05
    assert apart(before, after) < 6


@pytest.mark.parametrize(("right", "down"), [(60, 0), (0, 45), (130, 90)])
def test_a_crop_survives_shifting(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"], right: int, down: int
) -> None:
    shifted = np.pad(photo, ((down, 20), (right, 20), (0, 0)), mode="edge")
    before, after = crop_of(cropper, photo), crop_of(cropper, shifted)
    assert corners_apart(before, after, np.array([(1, 0, right), (0, 1, down)])) < 0.08
    assert apart(before, after) < 12  # of other people: 37 to 76


@pytest.mark.parametrize("degrees", [-25, -12, 12, 25])
def test_a_crop_survives_rotating(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"], degrees: int
) -> None:
    turned = np.array(Image.fromarray(photo).rotate(degrees, Image.Resampling.BICUBIC))
    angle, middle = math.radians(-degrees), np.array(photo.shape[1::-1]) / 2
    turn = np.array([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    way = np.column_stack([turn, middle - turn @ middle])
    before, after = crop_of(cropper, photo), crop_of(cropper, turned)
    assert corners_apart(before, after, way) < 0.12
    unturned = crop_of(cropper, turned, CropSpec(size_px=112, margin=0.05, roll=False))
    assert apart(before, after) < apart(before, unturned)


def test_eyes_are_level_and_centred(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"]
) -> None:
    turned = np.array(Image.fromarray(photo).rotate(20, Image.Resampling.BICUBIC))
    again = cropper.one(crop_of(cropper, turned, WIDE).pixels)
    assert abs(again.angle) < 6
    assert again.centre == pytest.approx((128, 128), abs=10)
    assert again.side == pytest.approx(256 / 1.4, rel=0.08)


def test_a_margin_is_what_it_adds_to_the_bare_face(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"]
) -> None:
    face = cropper.one(photo)
    for margin in (0.0, 0.4):
        to_photo = cropper.crop(photo, face, CropSpec(size_px=100, margin=margin)).to_photo
        side = 100 * math.hypot(to_photo[0, 0], to_photo[1, 0])
        assert side == pytest.approx(face.side * (1 + margin))
        assert to_photo @ (50, 50, 1) == pytest.approx(face.centre)


def test_a_crop_goes_back_to_where_it_was_cut(cropper: FaceCropper) -> None:
    y, x = np.mgrid[:300, :400] + 0.5
    places = np.stack([x / 400, y / 300, 0 * x], -1) * 255
    photo = places.round().astype(np.uint8)  # red tells the column, green the row
    turned = face_at(x=200, y=150, eyes=40, degrees=30)
    crop = cropper.crop(photo, turned, CropSpec(size_px=64, margin=0.1))
    rows, columns = np.mgrid[:64, :64] + 0.5
    back = np.stack([columns, rows, np.ones_like(rows)], -1) @ crop.to_photo.T
    read = crop.pixels[..., :2] / 255 * (400, 300)
    assert np.abs(back - read).max() < 2
    eyes = in_crop(crop, turned.keypoints[:2])
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(64 * 40 / (turned.side * 1.1))


def face_at(*, x: int, y: int, eyes: int, degrees: int) -> Face:
    """Return a frontal face with its nose at (x, y), turned clockwise."""
    upright = np.array([(-0.5, -0.5), (0.5, -0.5), (0, 0), (0, 0.5), (-1, -0.4), (1, -0.4)]) * eyes
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    left, top, right, bottom = map(float, (x - eyes, y - eyes, x + eyes, y + eyes))
    return Face(
        box=(left, top, right, bottom),
        keypoints=upright @ turn + (x, y),
        confidence=1.0,
    )


@pytest.mark.parametrize("size", [16, 40, 224])
def test_shrinking_does_not_alias(cropper: FaceCropper, size: int) -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    face = face_at(x=600, y=600, eyes=400, degrees=0)
    pixels = cropper.crop(stripes, face, CropSpec(size_px=size, margin=0.0)).pixels
    assert pixels.mean() == pytest.approx(127.5, abs=2)
    assert pixels.std() < (2 if size < 200 else 20)


def test_what_lies_outside_the_photo_repeats_its_edge(cropper: FaceCropper) -> None:
    photo = np.full((100, 100, 3), 200, np.uint8)
    photo[:, :5] = 30
    face = face_at(x=0, y=50, eyes=40, degrees=0)
    pixels = cropper.crop(photo, face, CropSpec(size_px=80, margin=0.5)).pixels
    assert (pixels[:, :38] == 30).all()
    assert (pixels[:, 48:] == 200).all()


def test_all_faces_are_found_largest_first(cropper: FaceCropper, examples: Path) -> None:
    people = [read_photo(examples / f"{name}.jpg") for name in PEOPLE[:3]]
    hung = [(people[0], 120, 10, 30), (people[1], 240, 140, 30), (people[2], 170, 400, 60)]
    scene = wall(400, 600, hung)
    found = cropper.faces(scene)
    assert found[0].side > found[1].side > found[2].side
    alone = [crop_of(cropper, person) for person in people]
    for which, expected in enumerate([1, 2, 0]):
        cut = cropper.crop(scene, cropper.one(scene, which), SPEC)
        assert np.argmin([apart(cut, crop) for crop in alone]) == expected
    with pytest.raises(NoFace, match="There is no face 4: 3 found"):
        cropper.one(scene, 3)


def test_small_faces_in_a_large_photo_are_found_once_each(
    cropper: FaceCropper, examples: Path
) -> None:
    people = [read_photo(examples / f"{name}.jpg") for name in PEOPLE]
    places = [(150, 400, 200), (140, 2900, 500), (130, 1500, 1900), (120, 3700, 2700)]
    scene = wall(3000, 4000, [(p, *at) for p, at in zip(people, places, strict=True)])
    found = cropper.faces(scene)
    assert sorted(face.centre for face in found) == [
        pytest.approx((left + wide / 2, top + 0.72 * wide), abs=0.25 * wide)
        for wide, left, top in sorted(places, key=lambda place: place[1])
    ]


@pytest.mark.parametrize("size", [48, 300])
def test_a_face_that_fills_the_photo_is_found(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"], size: int
) -> None:
    spec = CropSpec(size_px=size, margin=0.1)
    (face,) = cropper.faces(crop_of(cropper, photo, spec).pixels)
    assert face.side == pytest.approx(size / 1.1, rel=0.15)
    assert face.centre == pytest.approx((size / 2, size / 2), abs=0.08 * size)


def test_boxes_stay_inside_the_photo(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"]
) -> None:
    height, width = photo.shape[:2]
    cut_off = photo[: round(0.72 * height), width // 5 :]
    for face in cropper.faces(cut_off):
        left, top, right, bottom = face.box
        assert 0 <= left < right <= cut_off.shape[1]
        assert 0 <= top < bottom <= cut_off.shape[0]


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8))


def drawing() -> Image.Image:
    page = Image.new("RGB", (900, 1300), "white")
    pen = ImageDraw.Draw(page)
    for i in range(12):
        pen.rectangle((40 + 60 * i, 1200 - 80 * i, 80 + 60 * i, 1250), fill=(30, 20 * i, 160))
        pen.line((0, 100 * i, 900, 60 * i), fill="black", width=3)
    return page


def one_colour() -> Image.Image:
    return Image.new("RGB", (2000, 40), (90, 110, 130))


@pytest.mark.parametrize("draw", [noise, drawing, one_colour])
def test_no_face_is_seen_where_none_is(
    cropper: FaceCropper, draw: Callable[[], Image.Image]
) -> None:
    photo = np.array(draw())
    assert cropper.faces(photo) == []
    with pytest.raises(NoFace, match=r"^No face was found; .*\.$"):
        cropper.one(photo)


def test_threads_may_share_a_cropper(examples: Path) -> None:
    photos = [read_photo(path) for path in sorted(examples.glob("*.jpg"))]
    photos += [photo[:, ::-1].copy() for photo in photos]
    shared, jobs = FaceCropper(), [i % len(photos) for i in range(160)]
    with ThreadPoolExecutor(8) as threads:
        cut = list(threads.map(lambda i: crop_of(shared, photos[i]).pixels, jobs))
    alone = [crop_of(FaceCropper(), photo).pixels for photo in photos]
    assert all((pixels == alone[i]).all() for pixels, i in zip(cut, jobs, strict=True))


@pytest.mark.parametrize("spec", [SPEC, CropSpec(size_px=64, margin=-0.1), WIDE])
def test_a_stored_wide_crop_gives_what_the_photo_gives(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"], spec: CropSpec
) -> None:
    face = cropper.one(photo)
    size = round(face.side * 1.4)
    stored = cropper.crop(photo, face, CropSpec(size_px=size, margin=0.4)).pixels
    again = recut(stored, 0.4, spec)
    assert again.shape == (spec.size_px, spec.size_px, 3)
    direct = cropper.crop(photo, face, spec).pixels
    assert np.abs(again.astype(int) - direct).mean() < 4
    assert apart(again, direct) < 1.5


def test_a_crop_wider_than_the_stored_one_repeats_the_edge() -> None:
    stored = np.full((40, 40, 3), 10, np.uint8)
    stored[5:-5, 5:-5] = 240
    wider = recut(stored, 0.0, CropSpec(size_px=80, margin=1.0))
    assert (wider[:20] == 10).all()
    assert (wider[28:52, 28:52] == 240).all()
    assert (recut(stored, 0.2, CropSpec(size_px=40, margin=0.2)) == stored).all()


def test_crops_become_what_networks_take(
    cropper: FaceCropper, photo: UInt8[np.ndarray, "h w 3"]
) -> None:
    pixels = crop_of(cropper, photo).pixels
    tensor = to_tensor([pixels, pixels[:, ::-1]])
    assert tensor.shape == (2, 3, 112, 112)
    assert tensor.dtype == torch.float32
    assert (tensor[0, :, 7, 9] * 255).tolist() == pytest.approx(pixels[7, 9].tolist())
    assert torch.equal(tensor[1], tensor[0].flip(-1))
