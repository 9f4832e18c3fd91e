"""Which faces a transfer refuses or doubts: by their pose, and by the detector's confidence.

Measured by benchmarks/transfer_limits.py on 164 studio portraits (London), 53 synthetic people
(SFHQ) and 1,500 photos of the news, film stills among them. `turn` is at most 0.09 for the
portraits: none gets a warning. Two synthetic people are above WARN_TURN, at 0.28 and 0.36: we
looked, and their heads are turned. Of the news 5.3 % are above WARN_TURN, 0.9 % above MAX_TURN.
Below WARN_CONFIDENCE are no portrait, no synthetic person, and 4 of the news.

What these limits miss, by 94 portraits and synthetic people altered by us: of faces with the mouth
covered 99 % pass without a warning, with the eyes covered at least 94 %, with one half covered at
least 79 %. 29 % of line drawings aren't detected as faces, and the others pass; 99 % of pictures in
flat colours pass. Closed eyes are never noticed. So LIMITS is always shown.
"""

import numpy as np

from registry.faces import Face
from registry.photos import PhotoError

WARN_TURN = 0.25
"""`turn` above which a result comes with a warning."""
MAX_TURN = 0.5
"""`turn` above which a face is refused."""
WARN_CONFIDENCE = 0.6
"""The detector's confidence below which a result comes with a warning."""
LIMITS = (
    "It works for photographs of open faces seen from the front. Heads turned far are refused; "
    "closed eyes, covered faces and drawings are mostly not noticed, and spoil the result."
)


class ProfileFace(PhotoError):
    """A face is turned too far to the side to be changed, or to take an expression from."""


def turn(face: Face) -> float:
    """Return how far the nose tip is to one side of the eyes' middle, in distances of the eyes.

    0 is a face seen from the front, whatever its roll; of a profile it is 0.5 to 3.
    """
    angle = np.radians(face.angle)
    level = face.keypoints @ np.array([np.cos(angle), np.sin(angle)])
    right_eye, left_eye, nose = level[:3]
    return float(abs(nose - (right_eye + left_eye) / 2) / max(1e-9, abs(left_eye - right_eye)))


def warnings_about(face: Face, name: str) -> tuple[str, ...]:
    """Return what may spoil a transfer, a sentence each.

    Args:
        face: The face to check.
        name: Begins each sentence: "The face to change".

    Raises:
        ProfileFace: The face is seen from the side.
    """
    turned = turn(face)
    if turned > MAX_TURN:
        raise ProfileFace(
            f"{name} is seen from the side; take a photo that shows it from the front."
        )
    warnings = []
    if turned > WARN_TURN:
        warnings.append(f"{name} is turned to one side, and the result may suffer from it.")
    if face.confidence < WARN_CONFIDENCE:
        warnings.append(
            f"{name} is hard to recognise: covered faces and drawings give poor results."
        )
    return tuple(warnings)
