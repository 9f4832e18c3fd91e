"""Whether a version may answer: what is checked before it does, and what is noted if it can't."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from registry.candidates import promote_command
from registry.catalog import CATALOG
from registry.crops import CropSpec
from registry.entries import Version
from registry.errors import BadVersion, GraphError, RegistryError

if TYPE_CHECKING:
    from demo.loaded_model import Model

logger = logging.getLogger(__name__)

SMOKE_FACES, SMOKE_PHOTO_PX = 2, 240
MEMORY_WORDS = ("out of memory", "failed to allocate", "can't allocate", "cannot allocate")
"""How ONNX Runtime and PyTorch call a lack of memory, in small letters."""


class NotValidated(RegistryError):
    """A version has not passed the gates, and the page was started with --only-validated."""


def mark(version: Version) -> str | None:
    """Return in a sentence that a version that answers is not validated; None where it is."""
    if version.is_validated:
        return None
    return f"{version.title} is not validated: {_why(version)}. {_next_step(version)}"


def require_validated(version: Version) -> None:
    """Raise NotValidated unless a version passed the gates or is a starter."""
    if not version.is_validated:
        raise NotValidated(
            f"{version.title} is in production but not validated: {_why(version)}; this page was "
            f"started with --only-validated. {_next_step(version)}"
        )


def _why(version: Version) -> str:
    if version.validation == "failed":
        reason = version.validation_reason.rstrip(".") or "it carries no reason"
        return f"it is tagged as failed ({reason})"
    return "it has not passed the gates of promotion"


def _next_step(version: Version) -> str:
    return (
        f"`{promote_command(version)}` compares it, "
        f"`python -m registry rollback {version.name}` takes it back."
    )


def smoke_check(model: "Model") -> None:
    """Try a version on faces cut from a drawn photo by its crop; one with two graphs in both.

    Raises:
        BadVersion: It fails, its outputs are not those of its model, or its labels are not those of
            the catalog; the message says which.
    """
    from registry.graphs import output_checks

    version, spec = model.version, CATALOG[model.version.model]
    size = version.crop.size_px
    faces = _smoke_faces(version.crop)
    shapes = output_checks.network_shapes(size, version.labels)
    change = None
    try:
        if unknown := [label for label in version.labels if label not in spec.labels]:
            raise output_checks.OutputError(f"has the label {unknown[0]}, which {spec.name} lacks")
        if spec.encoder:
            conditions = output_checks.checked_outputs(
                lambda: model.encode(faces), faces, spec.encoder, output_checks.ENCODER_SHAPES
            )["condition"]
            change = conditions[::-1] - conditions
        output_checks.checked_outputs(lambda: model(faces, change), faces, spec.outputs, shapes)
    except output_checks.OutputError as error:
        raise BadVersion(f"{version.title} {error}; promote another version.") from error


def _smoke_faces(spec: CropSpec) -> np.ndarray:
    """Return crops of a photo of noise, cut as those of visitors' photos are, batch 3 h w."""
    from registry.crops import to_array
    from registry.faces import Face, FaceCropper

    side = SMOKE_PHOTO_PX
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    points = np.array([[40, 50], [80, 50], [60, 70], [60, 90], [20, 60], [100, 60]], float)
    faces = [
        Face(box=(0.0, 0.0, 120.0, 120.0), keypoints=points + 100 * index, confidence=1.0)
        for index in range(SMOKE_FACES)
    ]
    cropper = FaceCropper()
    return to_array([cropper.crop(photo, face, spec).pixels for face in faces])


def tag_if_broken(version: Version, error: Exception) -> None:
    """Tag a version `validation_status=failed`, with the sentence, where the fault is its own.

    Files that are elsewhere, a store that does not answer, and a lack of memory or disk are not. A
    store that can't be written is logged.
    """
    from registry.promotion import validation

    if not is_fault_of_version(error):
        return
    if (version.validation, version.validation_reason) == ("failed", str(error)):
        return
    try:
        validation.write(version, "failed", str(error))
    except Exception as failure:  # the version is refused all the same
        logger.warning("%s can't be tagged as failed.", version.title, exc_info=failure)


def is_fault_of_version(error: BaseException) -> bool:
    """Return whether a version was refused for what it is, and not for what this machine lacks."""
    from registry.graphs.output_checks import OutputError

    cause = error.__cause__
    if not isinstance(error, BadVersion) or not isinstance(cause, GraphError | OutputError):
        return False
    while cause is not None:
        text = str(cause).lower()
        if isinstance(cause, MemoryError | OSError) or any(word in text for word in MEMORY_WORDS):
            return False
        cause = cause.__cause__
    return True
