"""python -m demo transfer-video: one face of a clip is changed, and every frame is marked."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from demo.__main__ import main
from demo.marking import SOURCE_TYPE, draw_mark
from demo.models import ModelServer
from demo.predictors import Photo, TripletComparer
from demo.transfer import CONSENT
from demo.video.following import FollowedFace
from demo.video.frames import read_frames
from registry.faces import FaceCropper
from tests.demo.fakes import FakeRegistry
from tests.demo.video.clips import write_clip
from tests.demo.video.test_tracking import face

pytestmark = pytest.mark.usefixtures("log_folder")


@pytest.fixture
def clip(examples: Path, models: FakeRegistry, tmp_path: Path) -> Path:
    """Return a clip of three frames with a large person and a smaller one, and one of nobody."""
    assert models.production
    first, second = (
        Image.open(examples / name).convert("RGB") for name in ("smiling_07.jpg", "sad_06.jpg")
    )
    picture = Image.new("RGB", (481, 321), "grey")
    picture.paste(first.resize((320, 320)), (0, 0))
    picture.paste(second.resize((150, 150)), (325, 0))
    pictures = [picture, picture, Image.new("RGB", picture.size, "grey"), picture]
    return write_clip(tmp_path / "clip.mp4", pictures, [0.0, 0.1, 0.7, 0.8])


def test_one_face_is_changed_and_every_frame_and_the_file_are_marked(
    clip: Path, photos: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.mp4"
    assert main(["transfer-video", str(clip), photos[0], "-o", str(new), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(CONSENT)
    answer = json.loads(printed.out)
    assert (answer["frames"], answer["changed_frames"], answer["model"]) == (4, 3, "pix2pixhd")
    with av.open(str(new)) as container:
        assert SOURCE_TYPE in container.metadata["comment"]
    before, after = (list(read_frames(path, 30.0)) for path in (clip, new))
    assert [frame.seconds for frame in after] == pytest.approx([0.0, 0.1, 0.7, 0.8], abs=0.01)
    for old, frame in zip(before, after, strict=True):
        height, width = frame.pixels.shape[:2]
        assert (height, width) == (320, 480)
        marked = draw_mark(old.pixels)[:height, :width]
        corner = np.s_[height - 24 :, width - 100 :]
        assert (
            difference(frame.pixels, marked, corner) < 12 < difference(marked, old.pixels, corner)
        )
    other = np.s_[:150, 330:]
    person = np.s_[80:240, 80:240]
    assert difference(after[0].pixels, before[0].pixels, other) < 6
    assert difference(after[0].pixels, before[0].pixels, person) > 6
    assert difference(after[2].pixels, before[2].pixels, person) < 6


def difference(one: np.ndarray, other: np.ndarray, part: tuple[slice, slice]) -> float:
    """Return the mean difference of the levels in a part of two pictures."""
    height, width = (min(pair) for pair in zip(one.shape[:2], other.shape[:2], strict=True))
    pair = (each[:height, :width][part].astype(float) for each in (one, other))
    return float(np.abs(np.subtract(*pair)).mean())


def test_a_clip_that_can_not_be_changed_gets_a_sentence_and_no_file(
    clip: Path, photos: list[str], nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = Image.new("RGB", (64, 64), "grey")
    long = write_clip(tmp_path / "long.mp4", [grey] * 3, [0.0, 10.0, 21.0])
    empty = write_clip(tmp_path / "empty.mp4", [grey] * 3)
    new = tmp_path / "new.mp4"
    for video, driver, sentence in (
        (long, photos[0], "longer than 20 seconds"),
        (empty, photos[0], "shows no face from the front"),
        (clip, nobody, "No face was found"),
    ):
        assert main(["transfer-video", str(video), driver, "-o", str(new)]) == 2
        assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("*new*")) + list(tmp_path.glob(".part*"))


def test_where_two_faces_are_near_the_identity_decides(registry: FakeRegistry) -> None:
    """The followed person is bright. At last the dark one is nearer to where the person was."""

    def network(faces: Tensor) -> dict[str, Tensor]:
        bright = (faces.mean((1, 2, 3)) > 0.5).float()
        vectors = torch.stack([bright, 1 - bright], 1)
        return {"expression": vectors, "identity": vectors}

    registry.put("dln", 1, network)
    followed = FollowedFace(TripletComparer(ModelServer(poll_seconds=None)))
    pixels = np.zeros((200, 900, 3), np.uint8)
    pixels[:, 150:780] = 255
    keypoints = np.array([[30, 40], [70, 40], [50, 60], [50, 80], [10, 50], [90, 50]], float)

    def photo(*places: float) -> Photo:
        found = tuple(face(x, keypoints=keypoints + np.array([x, 0.0])) for x in places)
        return Photo(pixels, found, FaceCropper())

    assert followed.index(photo(250)) == 0
    assert followed.index(photo(700, 210)) == 1
    assert followed.index(photo()) is None
    assert followed.index(photo(20, 160)) == 1
    assert followed.index(photo(0)) is None
    assert followed.index(photo(0, 700)) == 1
    assert followed.index(photo(765, 632)) == 1
