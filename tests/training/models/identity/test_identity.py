from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from registry.crops import CropSpec
from registry.faces import FaceCropper
from registry.photos import read_photo
from training.datasets.prepare import prepare
from training.datasets.prepared import Prepared
from training.datasets.readers import lfw_emotion
from training.engine.recipe import RecipeError
from training.metrics.verification import verification_auc
from training.models.identity.teacher import (
    FRAME,
    LEFT,
    TEACHER_PX,
    TOP,
    OnnxTeacher,
    teacher_embeddings,
)

PICTURES = 150
# Heights in 112 px: Deng et al., "ArcFace" (CVPR 2019), as its published code aligns faces.
TEMPLATE_EYES, TEMPLATE_MOUTH = 51.6, 92.3


def test_eyes_and_mouth_are_where_the_teacher_expects_them(examples: Path) -> None:
    cropper, places = FaceCropper(), []
    for path in sorted(examples.glob("*.jpg")):
        photo = read_photo(path)
        face = cropper.one(photo)
        to_photo = cropper.crop(photo, face, FRAME).to_photo
        points = np.linalg.solve(to_photo[:, :2], (face.keypoints - to_photo[:, 2]).T).T
        points -= (LEFT, TOP)
        places.append((points[:2, 1].mean(), points[3, 1], points[[0, 1, 3], 0].mean()))
    eyes, mouth, middle = np.median(places, axis=0)
    assert abs(eyes - TEMPLATE_EYES) < 4
    assert abs(mouth - TEMPLATE_MOUTH) < 4
    assert abs(middle - TEACHER_PX / 2) < 4


def test_the_teacher_verifies_persons_in_news_photos(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with ZipFile(shared_data / "lfw_emotion.zip") as archive:
        pictures = [name for name in archive.namelist() if name.startswith("images/A")]
        counted = Counter(map(lfw_emotion.person_of, pictures))
        several = [name for name in pictures if counted[lfw_emotion.person_of(name)] > 1]
        archive.extractall(tmp_path / "source", [*several[:PICTURES], "legend.csv"])
    prepare("lfw-emotion", tmp_path / "source", tmp_path / "data", workers=2)
    data = Prepared.open(tmp_path / "data")
    teacher, rows = shared_data / "weights" / "mobilefacenet.onnx", np.arange(len(data.index))
    vectors = teacher_embeddings(data, teacher)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    found = verification_auc(vectors, data, rows)
    from_grey_levels = verification_auc(_grey_levels(data), data, rows)
    assert found is not None
    assert from_grey_levels is not None
    assert found > 0.8 > from_grey_levels + 0.1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no network", "is damaged or not an ONNX network"), (None, "can't be read: No such file")],
)
def test_a_teacher_file_without_a_network_is_refused_in_one_sentence(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "teacher.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=rf"^The teacher .*teacher\.onnx {sentence}"):
        OnnxTeacher(path)


def _grey_levels(data: Prepared) -> np.ndarray:
    """Return the faces' pixels at 8 px as unit vectors, a baseline."""
    small = data.faces(CropSpec(size_px=8, margin=0.05)).reshape(len(data.index), -1) / 255.0
    centred = small - small.mean(1, keepdims=True)
    vectors: np.ndarray = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return vectors
