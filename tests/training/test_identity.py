from pathlib import Path

import numpy as np
import pytest

from registry.faces import CropSpec, FaceCropper
from registry.photos import read_photo
from training.datasets.index import Prepared
from training.datasets.prepare import prepare
from training.identity.teacher import FRAME, LEFT, TEACHER_PX, TOP, taught
from training.verification import verification_auc

# Of five points in 112 x 112 px: Deng et al., "ArcFace" (CVPR 2019), as its published code has it.
TEMPLATE_EYES, TEMPLATE_MOUTH = 51.6, 92.3


def test_the_teacher_sees_eyes_and_mouth_where_it_learned_them(examples: Path) -> None:
    cropper, places = FaceCropper(), []
    for path in sorted(examples.glob("*.jpg")):
        photo = read_photo(path)
        face = cropper.one(photo)
        to_photo = cropper.crop(photo, face, FRAME).to_photo
        points = np.linalg.solve(to_photo[:, :2], (face.keypoints - to_photo[:, 2]).T).T
        seen = points - (LEFT, TOP)
        places.append((seen[:2, 1].mean(), seen[3, 1], seen[[0, 1, 3], 0].mean()))
    eyes, mouth, middle = np.median(places, axis=0)
    assert abs(eyes - TEMPLATE_EYES) < 4
    assert abs(mouth - TEMPLATE_MOUTH) < 4
    assert abs(middle - TEACHER_PX / 2) < 4


def test_the_teacher_knows_londoners_again(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    source = tmp_path / "london"
    source.mkdir()
    names = sorted(path.name for path in (shared_data / "london").glob("*_0[38].jpg"))[:24]
    for name in [*names, "info.csv"]:
        (source / name).symlink_to(shared_data / "london" / name)
    prepare("london", source, tmp_path / "data", workers=2)
    data = Prepared.open(tmp_path / "data")
    vectors = taught(data, shared_data / "weights" / "mobilefacenet.onnx")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    rows = np.arange(len(data.index))
    found = verification_auc(vectors, data, rows)
    assert found is not None
    assert found > 0.9
    assert found > (verification_auc(_grey_level(data), data, rows) or 0)
    assert taught(data, shared_data / "weights" / "mobilefacenet.onnx").tolist() == vectors.tolist()


def _grey_level(data: Prepared) -> np.ndarray:
    """Return tiny pictures as vectors: what anyone could compare."""
    small = data.faces(CropSpec(size_px=8, margin=0.05)).reshape(len(data.index), -1) / 255.0
    centred = small - small.mean(1, keepdims=True)
    vectors: np.ndarray = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return vectors
