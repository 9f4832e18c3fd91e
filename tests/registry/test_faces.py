import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from registry.crops import Crop, CropSpec, recut
from registry.faces import Face, FaceCropper, NoFace, select_face
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


def scene_of(height: int, width: int, photos: list[tuple[np.ndarray, int, int, int]]) -> np.ndarray:
    """Return a plain picture with photos in it, each a (photo, width, left, top)."""
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


def corners_apart(a: Crop, b: Crop, way: np.ndarray) -> float:
    """Return how far the corners of b lie from a's, mapped by `way`, in parts of b's side."""
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


def test_all_faces_are_found_largest_first(cropper: FaceCropper, examples: Path) -> None:
    people = [read_photo(examples / f"{name}.jpg") for name in PEOPLE[:3]]
    placed = [(people[0], 120, 10, 30), (people[1], 240, 140, 30), (people[2], 170, 400, 60)]
    scene = scene_of(400, 600, placed)
    found = cropper.faces(scene)
    assert found[0].side > found[1].side > found[2].side
    alone = [crop_of(cropper, person) for person in people]
    for which, expected in enumerate([1, 2, 0]):
        cut = cropper.crop(scene, cropper.one(scene, which), SPEC)
        assert np.argmin([apart(cut, crop) for crop in alone]) == expected
    with pytest.raises(NoFace, match="There is no face 4: only 3 were found; choose another"):
        cropper.one(scene, 3)


def test_small_faces_in_a_large_photo_are_found_once_each(
    cropper: FaceCropper, examples: Path
) -> None:
    people = [read_photo(examples / f"{name}.jpg") for name in PEOPLE]
    places = [(150, 400, 200), (140, 2900, 500), (130, 1500, 1900), (120, 3700, 2700)]
    scene = scene_of(3000, 4000, [(p, *at) for p, at in zip(people, places, strict=True)])
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
    found = cropper.faces(cut_off)
    assert found
    for face in found:
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
def test_no_face_is_found_where_none_is(
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


@pytest.mark.parametrize(
    ("faces", "index", "message"),
    [
        (0, 0, "No face was found; take a photo that shows a face from the front."),
        (1, 1, "There is no face 2: only one face was found; choose another."),
        (3, 5, "There is no face 6: only 3 were found; choose another."),
        (3, -1, "There is no face 0: only 3 were found; choose another."),
    ],
)
def test_a_face_that_is_not_there_is_named(faces: int, index: int, message: str) -> None:
    face = Face(box=(0.0, 0.0, 9.0, 9.0), keypoints=np.zeros((6, 2)), confidence=1.0)
    assert select_face([face] * 3, 2) is face
    with pytest.raises(NoFace) as raised:
        select_face([face] * faces, index)
    assert str(raised.value) == message
