"""What a transfer can't be asked for, as far as a face's place tells: its pose, and how sure it is.

Measured by benchmarks/transfer_limits.py on 164 studio portraits (London), 53 synthetic people
(SFHQ) and 1,500 photos of the news, film stills among them. `turn` is at most 0.09 for the
portraits and 0.17 for the synthetic people: none is doubted. Of the news 4.7 % are above TURNED;
the 13 above PROFILE (0.9 %) were looked at, and show heads turned far to the side. Below UNSURE are
no portrait, no synthetic person, and 4 of the news: two profiles, a blur, one open face.

What this doesn't see, by portraits and synthetic people spoilt on purpose, 94 each: of faces with
the mouth covered 99 % pass without a doubt, with the eyes covered at least 91 %, with one half
covered at least 84 %. Of line drawings 29 % aren't found as faces, and the others pass; of pictures
in flat colours 98 % do. Closed eyes are never seen. Hence OPEN_FACES, which is always said.
"""

import numpy as np

from registry.faces import Face
from registry.photos import PhotoError

TURNED = 0.25
"""`turn` above which a result is doubted."""
PROFILE = 0.5
"""`turn` above which a face is refused."""
UNSURE = 0.6
"""The detector's confidence below which a face is doubted."""
OPEN_FACES = (
    "It works for photographs of open faces seen from the front. Heads turned far are refused; "
    "closed eyes, covered faces and drawings are mostly not noticed, and spoil the result."
)


class Profile(PhotoError):
    """A face is turned too far away to be changed, or to be taken as an example."""


def turn(face: Face) -> float:
    """Return how far the nose tip is to one side of the eyes' middle, in distances of the eyes.

    0 is a face seen from the front, whatever its roll; of a profile it is 0.5 to 3.
    """
    angle = np.radians(face.angle)
    level = face.keypoints @ np.array([np.cos(angle), np.sin(angle)])
    right_eye, left_eye, nose = level[:3]
    return float(abs(nose - (right_eye + left_eye) / 2) / max(1e-9, abs(left_eye - right_eye)))


def doubts(face: Face, named: str) -> tuple[str, ...]:
    """Return what may spoil a transfer, a sentence each; `named` begins it: "The face to change".

    Raises:
        Profile: The face is seen from the side.
    """
    turned = turn(face)
    if turned > PROFILE:
        raise Profile(f"{named} is seen from the side; take a photo that shows it from the front.")
    said = []
    if turned > TURNED:
        said.append(f"{named} is turned to one side, and the result may suffer from it.")
    if face.confidence < UNSURE:
        said.append(f"{named} is hard to make out: of covered faces and drawings little comes out.")
    return tuple(said)
