"""Item 1: a photo that was turned, without a note of it, gives the face as the upright one does."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from PIL import Image

from registry.crops import CropSpec, level_square, to_tensor
from registry.faces import Face, FaceCropper
from registry.photos import read_photo
from training import seed
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.starters import files

DEGREES = 10
"""How far a roll may be from the truth."""
ODD_ANGLES = (45, 135, 225, 315)
PEOPLE = ("angry_00", "sad_02", "smiling_09", "surprised_09")
"""Those of 53 whose roll or emotion was wrong by most: the search takes a while."""

Pixels = UInt8[np.ndarray, "h w 3"]
Recognizer = Callable[[Pixels, Face], str]


pytestmark = pytest.mark.xdist_group("turned-heads")  # fixtures that take seconds


@pytest.fixture(scope="module")
def cropper() -> FaceCropper:
    return FaceCropper()


@pytest.fixture(scope="module")
def people(shared_data: Path) -> list[Pixels]:
    return [read_photo(shared_data / "sfhq" / f"{name}.jpg") for name in PEOPLE]


@pytest.fixture(scope="module")
def emotion(cropper: FaceCropper) -> Recognizer:
    """Return what names the emotion of a face, by the shipped network."""
    torch.set_flush_denormal(True)
    starter = files.Starter.open(files.EMOTION)
    network = seed.NETWORKS[files.EMOTION](starter.card)
    network.load_state_dict(starter.weights())
    network.eval()
    spec, labels = CropSpec(**starter.card["crop"]), starter.card["labels"]

    def label(photo: Pixels, face: Face) -> str:
        with torch.inference_mode():
            logits = network(to_tensor([cropper.crop(photo, face, spec).pixels]))["logits"]
        return str(labels[int(logits[0].argmax())])

    return label


def quarters_clockwise(photo: Pixels, quarters: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(photo, -quarters))


def turned_clockwise(photo: Pixels, degrees: float) -> Pixels:
    """Return a square picture with the turned photo; its edge is repeated around."""
    height, width = photo.shape[:2]
    side = math.ceil(math.hypot(height, width))
    return level_square(photo, (width / 2, height / 2), float(side), -float(degrees), side)[0]


def between(one: float, other: float) -> float:
    """Return the difference of two directions in degrees, 0 to 180."""
    return abs((one - other + 180) % 360 - 180)


def test_photos_turned_by_quarters_give_the_same_roll_and_emotion(
    people: list[Pixels], cropper: FaceCropper, emotion: Recognizer
) -> None:
    for photo in people:
        (upright,) = cropper.faces(photo)
        label = emotion(photo, upright)
        for quarters in (1, 2, 3):
            turned = quarters_clockwise(photo, quarters)
            (face,) = cropper.faces(turned)
            assert between(face.angle, upright.angle + 90 * quarters) <= DEGREES
            assert emotion(turned, face) == label
            assert not face.uncertain_roll


@pytest.mark.parametrize("degrees", ODD_ANGLES)
def test_photos_turned_by_odd_angles_give_the_same_roll(
    people: list[Pixels], cropper: FaceCropper, degrees: int
) -> None:
    for photo in people:
        turned = turned_clockwise(photo, degrees)
        (face,) = cropper.faces(turned)
        assert between(face.angle, cropper.one(photo).angle + degrees) <= DEGREES
        assert not face.uncertain_roll


def test_a_blurred_face_upside_down_is_found_so_or_called_uncertain(
    people: list[Pixels], cropper: FaceCropper
) -> None:
    uncertain, certain = 0, 0
    for photo in people:
        for width in (18, 32):
            size = photo.shape[1::-1]
            small = Image.fromarray(photo).resize((width, round(width * size[1] / size[0])))
            blurred = np.array(small.resize(size, Image.Resampling.BICUBIC))
            face = cropper.one(quarters_clockwise(blurred, 2))
            uncertain += face.uncertain_roll
            certain += not face.uncertain_roll
            assert face.uncertain_roll or between(face.angle, 180) < 3 * DEGREES
    assert uncertain
    assert certain


def test_upright_faces_are_certain(people: list[Pixels], cropper: FaceCropper) -> None:
    faces = [cropper.faces(photo) for photo in people]
    assert [len(found) for found in faces] == [1] * len(people)
    assert not any(found[0].uncertain_roll for found in faces)


def test_prepare_stores_the_crop_of_a_turned_photo_upright(examples: Path, tmp_path: Path) -> None:
    photo = read_photo(examples / "smiling_05.jpg")
    for name, quarters in (("upright", 0), ("turned", 2)):
        folder = tmp_path / name / "happy"
        folder.mkdir(parents=True)
        content = io.BytesIO()
        Image.fromarray(quarters_clockwise(photo, quarters)).save(content, "PNG")
        (folder / "one.png").write_bytes(content.getvalue())
        prepare("folder", tmp_path / name, tmp_path / f"{name}-set")
    upright, turned = (
        Prepared.open(tmp_path / f"{name}-set").read_crop(0).astype(int)
        for name in ("upright", "turned")
    )
    assert np.abs(upright - turned).mean() < 3
    assert np.abs(upright - turned[::-1, ::-1]).mean() > 20
