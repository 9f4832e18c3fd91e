"""Photo -> faces, detected by MediaPipe, and their crops."""

from registry.faces.cropper import FaceCropper
from registry.faces.face import Face, NoFace, select_face

__all__ = ["Face", "FaceCropper", "NoFace", "select_face"]
