"""The teacher's embedding of every prepared face, computed once per set."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.progress import track

from registry.crops import CropSpec
from registry.onnx_runtime import onnx_runtime
from training.datasets.prepared import Prepared
from training.engine.recipe import RecipeError
from training.models.backbones.deviation import BackboneConfig
from training.models.backbones.pretrained import identity_state

TEACHER_PX = 112
FRAME = CropSpec(size_px=136, margin=0.4)
TOP, LEFT = 4, 12
"""Corner of the teacher's input in FRAME, in pixels. Face recognition networks learn from faces
aligned to ArcFace's template (eyes at 0.46, mouth at 0.82 of the height; Deng et al., CVPR 2019),
our crops are centred: an input 8 px of 112 higher raises the teacher's verification AUC on
lfw_emotion from 0.69 to 0.86."""
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, None, None]
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, None, None]


class OnnxTeacher:
    """A face recognition network in ONNX, run face by face: published ones take batches of one.

    Raises:
        RecipeError: the file can't be read or isn't an ONNX network.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecipeError(f"The teacher {path} can't be read: {error.strerror}.") from error
        self.digest = hashlib.sha256(content).hexdigest()[:12]
        runtime = onnx_runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # one face per core is faster than one face on all cores
        try:
            self.session = runtime.InferenceSession(content, options)
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise RecipeError(f"The teacher {path} is damaged or not an ONNX network.") from error
        self.input = self.session.get_inputs()[0].name

    def __call__(self, faces: UInt8[np.ndarray, "batch 112 112 3"]) -> Float[np.ndarray, "batch d"]:
        """Return the network's vectors for RGB faces."""
        x = (faces.transpose(0, 3, 1, 2).astype(np.float32) / 255 - MEAN) / STD

        def embed(face: np.ndarray) -> np.ndarray:
            vector: np.ndarray = self.session.run(None, {self.input: face[None]})[0][0]
            return vector

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(embed, x)))


class CompactTeacher:
    """The shipped compact network, or one with seeded random weights: needs no teacher file."""

    def __init__(self) -> None:
        backbone = BackboneConfig(name="compact")
        torch.manual_seed(0)
        self.network = backbone.build().eval()
        state = identity_state(backbone, None)
        if state is not None:
            self.network.load_state_dict(state)
        self.digest = "compact" if state is None else "starter"

    def __call__(self, faces: UInt8[np.ndarray, "batch 112 112 3"]) -> Float[np.ndarray, "batch d"]:
        """Return the network's vectors for RGB faces."""
        with torch.inference_mode():
            x = torch.tensor(faces).permute(0, 3, 1, 2).float() / 255
            vectors: np.ndarray = self.network(x).numpy()
        return vectors


def teacher_embeddings(
    data: Prepared, path: Path | None, batch_size: int = 64
) -> Float[np.ndarray, "faces d"]:
    """Return the teacher's unit vector for every face of a set; cached in the set's folder.

    Args:
        data: a prepared set.
        path: the ONNX file of the teacher; None: the compact teacher.
        batch_size: faces per call.

    Raises:
        RecipeError: as for `OnnxTeacher`.
    """
    teacher = OnnxTeacher(path) if path else CompactTeacher()

    def compute() -> Float[np.ndarray, "faces d"]:
        pixels = data.faces(FRAME)[:, TOP : TOP + TEACHER_PX, LEFT : LEFT + TEACHER_PX]
        starts = range(0, len(pixels), batch_size)
        vectors = np.concatenate(
            [
                teacher(np.asarray(pixels[i : i + batch_size]))
                for i in track(starts, description=f"Teacher embeddings of {data.name}")
            ]
        )
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    return data.cached(f"teacher-{teacher.digest}", compute)
