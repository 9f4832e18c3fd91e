"""What a visitor of the Transfer tab asks for, or what is still needed for it."""

from dataclasses import dataclass

from demo.predictors import Photo
from demo.transfer import MAX_STRENGTH, MIN_STRENGTH

ADD_PHOTOS = "Add a photo of a person, and one whose expression the person takes on."
ADD_PERSON = "Add a photo of a person, whose face becomes neutral."
ASK_CONSENT = "Tick that the people in the pictures agree, and the picture appears here."
ASK_STRENGTH = f"Choose a strength from {MIN_STRENGTH:g} to {MAX_STRENGTH:g}."
OTHERS, NEUTRAL = "the other person's", "neutral"


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferRequest:
    """Whose face, whose expression (None: neutral), which face of each, and how far to go."""

    person: Photo
    driver: Photo | None
    faces: tuple[int, int]
    strength: float


def read_request(
    person: Photo | None,
    face: int | None,
    other: Photo | None,
    other_face: int | None,
    target: str,
    strength: int | float | None,
    agreed: bool,
) -> TransferRequest | str:
    """Return the visitor's request, or a sentence with what is still needed."""
    if person is None or (other is None and target == OTHERS):
        return ADD_PHOTOS if target == OTHERS else ADD_PERSON
    if not agreed:
        return ASK_CONSENT
    if strength is None:
        return ASK_STRENGTH
    return TransferRequest(
        person=person,
        driver=other if target == OTHERS else None,
        faces=(int(face or 0), int(other_face or 0)),
        strength=float(strength),
    )
