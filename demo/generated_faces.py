"""What a generator draws for a face at some strengths, alone and in the face's photo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from demo.batching import Outputs
from demo.face_vectors import FaceVectors
from demo.loaded_model import Model
from demo.pasting import confined, paste_change
from demo.predictors import BATCH, Photo
from registry.crops import Crop, to_array


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedCrop:
    """A face's crop and its vectors, both for one version."""

    crop: Crop
    vectors: FaceVectors


def generate(
    model: Model, person: EncodedCrop, target: FaceVectors, strengths: Sequence[float]
) -> Outputs:
    """Return the generator's outputs for a face at each strength."""
    assert len(strengths) <= BATCH
    change = np.float32(target.condition - person.vectors.condition)
    faces = to_array([person.crop.pixels] * len(strengths))
    return model(faces, np.array(strengths, np.float32)[:, None] * change)


def pasted(
    source: Photo, face: int, person: EncodedCrop, outputs: Outputs
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "size size 3"]]]:
    """Yield the photo with each picture of a generator, and its face cut out of it again."""
    at, spec = source.face(face), person.crop.spec
    for picture, mask in pictures(outputs, person.crop):
        photo = paste_change(source.pixels, person.crop, picture, mask)
        yield photo, source.cropper.crop(photo, at, spec).pixels


def pictures(outputs: Outputs, crop: Crop) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each picture of a generator, h w 3, and the mask of where it was changed, h w.

    Args:
        outputs: The generator's for this crop.
        crop: What comes back outside the face's outline.
    """
    before, margin = crop.pixels, crop.spec.margin
    drawn = [confined(before, after, margin) for after in _to_pixels(outputs["picture"])]
    return list(zip(drawn, outputs["mask"][:, 0], strict=True))


def _to_pixels(pictures: Float[np.ndarray, "batch 3 h w"]) -> UInt8[np.ndarray, "batch h w 3"]:
    levels = (pictures.clip(0, 1) * 255).round().transpose(0, 2, 3, 1)
    return np.ascontiguousarray(levels, np.uint8)
