"""Finds all faces of a photo, whichever way they are turned, and crops them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from jaxtyping import UInt8

from registry.crops import Crop, CropSpec, level_square
from registry.faces import copies
from registry.faces.copies import Copies
from registry.faces.detectors import FAR, FAR_UNSURE, NEAR, Detector, DetectorInput, Detectors
from registry.faces.face import Face, select_face
from registry.faces.roll import CLEARLY, CONFIRMED, LEAST, LEVEL, RollCheck

SAME_FACE = 0.3
"""Two boxes that share more than this part of the smaller one hold the same face."""
FILLING = (0.35, 0.8)
"""A face's side over the photo's shorter side: from the first on NEAR's keypoints count too, from
the second on they alone."""
AGREEING_DEGREES = 30.0
"""The keypoints of two finds of one face are averaged where their rolls differ by less."""
MOST_UNSURE = 14
"""Of the finds in tiles that FAR is not sure of, the most confident get a close look."""
UPSIDE_DOWN_OR_LYING = (1, 2, 3)


class FaceCropper:
    """Detects faces and crops them. Threads may share it."""

    def __init__(self) -> None:
        self._detectors = Detectors()

    def faces(self, photo: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Return all faces of an RGB photo, largest first.

        The far-range detector gets a copy of at most 640 px. Where it finds none, or one that fills
        the photo, the close-range detector gets that copy with a grey frame around. For small
        faces the far-range detector gets overlapping tiles. The roll of each face is checked. Where
        faces lie or stand on their heads, or none is confirmed, copies turned by quarters of a
        circle are looked at in the same way.
        """
        search = _Search(photo, self._detectors)
        found = search.faces()
        confirmed = _confirmed(found)
        quarters = {_quarters(face) for face in confirmed} - {0}
        lying = [
            face
            for quarter in sorted(quarters if confirmed else UPSIDE_DOWN_OR_LYING)
            for face in search.lying_faces(quarter)
            if not any(_contradicts(other, face) for other in found)
        ]
        found = confirmed if lying else found
        return sorted(_distinct(lying + found), key=lambda face: -face.side)

    def one(self, photo: UInt8[np.ndarray, "h w 3"], which: int = 0) -> Face:
        """Return one face of an RGB photo: 0 is the largest.

        Raises:
            NoFace: there is none, or there are fewer.
        """
        return select_face(self.faces(photo), which)

    def crop(self, photo: UInt8[np.ndarray, "h w 3"], face: Face, spec: CropSpec) -> Crop:
        """Cut a face out; what lies outside the photo repeats its edge."""
        length, angle = face.side * (1 + spec.margin), face.angle if spec.roll else 0.0
        pixels, to_photo = level_square(photo, face.centre, length, angle, spec.size_px)
        return Crop(pixels=pixels, spec=spec, to_photo=to_photo)


class _Search:
    """The search for faces in one photo; its copies are made once."""

    def __init__(self, photo: UInt8[np.ndarray, "h w 3"], detectors: Detectors) -> None:
        self._photo, self._detectors = photo, detectors
        self._copies = Copies(photo, detectors.map)
        self._roll = RollCheck(photo, detectors)

    def faces(self, quarters: int = 0) -> list[Face]:
        """Return the faces found in the photo turned anticlockwise by quarters of a circle.

        Where the far-range detector finds none, an uncertain one that fills the photo is left out
        if there are small ones.
        """
        whole, up = copies.turned(self._copies.whole, quarters), 90.0 * quarters
        found = self._roll.checked(self._nearer(self._detect([whole], FAR), whole), up)
        if found:
            return found + self._small_faces(quarters, found)
        found = self._roll.checked(self._detect([copies.framed(whole)], NEAR), up)
        certain = [face for face in found if not face.uncertain_roll]
        small = self._small_faces(quarters, certain)
        return certain + small if small else found

    def _nearer(self, far: list[Face], whole: DetectorInput) -> list[Face]:
        """Return what FAR found, those that fill the photo by the keypoints of NEAR.

        NEAR's are the better ones there (benchmarks/tight_faces.py). Between the two sizes of
        FILLING both are averaged, so that a little more or less of background moves no crop much.
        """
        shares = [_share_of_near(face, self._photo.shape) for face in far]
        if not any(shares):
            return far
        near = self._detect([copies.framed(whole)], NEAR)
        return [
            _averaged(face, near, share) if share else face
            for face, share in zip(far, shares, strict=True)
        ]

    def lying_faces(self, quarters: int) -> list[Face]:
        """Return what `faces` finds, if confirmed and not more upright in another turn."""
        confirmed = _confirmed(self.faces(quarters))
        return [face for face in confirmed if _quarters(face) == quarters]

    def _small_faces(self, quarters: int, found: list[Face]) -> list[Face]:
        """Return the faces found in tiles, without those found already."""
        tiles = [
            tile
            for copy in self._copies.to_tile
            for tile in copies.tiles(copies.turned(copy, quarters))
        ]
        small = _distinct(self._detect(tiles, FAR_UNSURE), found)
        sure = [face for face in small if face.confidence >= FAR.confidence]
        unsure = [face for face in small if face.confidence < FAR.confidence]
        confirmed = self._roll.confirmed(unsure[:MOST_UNSURE])
        checked = self._roll.checked(sure + confirmed, 90.0 * quarters, kept_within=LEVEL)
        return [
            face for face in checked if face.roll_confidence >= LEAST and not face.uncertain_roll
        ]

    def _detect(self, inputs: Sequence[DetectorInput], detector: Detector) -> list[Face]:
        found = chain(*self._detectors.faces(inputs, detector, self._photo.shape))
        return _distinct(sorted(found, key=lambda face: -face.confidence))


def _share_of_near(face: Face, shape: tuple[int, ...]) -> float:
    """Return how much NEAR's keypoints count for a face of a photo of `shape`, 0 to 1."""
    return float(np.interp(face.side / min(shape[:2]), FILLING, (0.0, 1.0)))


def _averaged(far: Face, near: Sequence[Face], share: float) -> Face:
    """Return a face with its box and keypoints averaged with those of the same one in `near`.

    The confidence stays FAR's. Where the two differ in which way is up, the more confident one is
    returned.
    """
    same = next((face for face in near if _overlap(far.box, face.box) >= SAME_FACE), None)
    if same is None:
        return far
    if abs((far.angle - same.angle + 180) % 360 - 180) > AGREEING_DEGREES:
        return max(far, same, key=lambda face: face.confidence)
    left, top, right, bottom = (
        float(x) for x in (1 - share) * np.array(far.box) + share * np.array(same.box)
    )
    return replace(
        far,
        box=(left, top, right, bottom),
        keypoints=(1 - share) * far.keypoints + share * same.keypoints,
    )


def _confirmed(faces: Sequence[Face]) -> list[Face]:
    return [face for face in faces if face.roll_confidence >= CONFIRMED]


def _quarters(face: Face) -> int:
    return round(face.angle / 90) % 4


def _contradicts(face: Face, lying: Face) -> bool:
    """Return whether a lying face is the same as `face`, turned otherwise and no more certain."""
    same = _overlap(face.box, lying.box) >= SAME_FACE and _quarters(face) != _quarters(lying)
    return same and lying.roll_confidence < face.roll_confidence + CLEARLY


def _distinct(faces: Sequence[Face], known: Sequence[Face] = ()) -> list[Face]:
    """Return the faces that no earlier one and none of `known` covers."""
    unique: list[Face] = []
    for face in faces:
        if all(_overlap(face.box, other.box) < SAME_FACE for other in [*known, *unique]):
            unique.append(face)
    return unique


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / max(1e-9, min(areas))
