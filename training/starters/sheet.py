"""A picture of what a starter answers about the synthetic people of the demo, for its run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from registry.crops import CropSpec, to_array
from registry.faces import FaceCropper
from registry.photos import read_photo
from registry.versions import ProductionModel

PEOPLE = Path(__file__).parents[2] / "demo" / "examples"
FACE_PX, CAPTION_PX = 128, 18
GENERATED = "All but the first face of this row are generated."
Faces = Float[np.ndarray, "people 3 size size"]


def starter_sheet(model: ProductionModel) -> UInt8[np.ndarray, "h w 3"]:
    """Return a sheet of a version's answers, a row for each person.

    A classifier: the face under its label. A generator: the face, then with every person's
    expression, that of the n-th row in column n + 1. An embedding: the face, then all others from
    the nearest expression to the farthest.
    """
    version = model.version
    faces = _people(version.crop)
    if version.encoder:
        return _grid(_transfers(model, faces), [GENERATED] * len(faces))
    outputs = model(faces)
    if version.labels:
        captions = [version.labels[index] for index in outputs["logits"].argmax(1)]
        return _grid([[face] for face in faces], captions)
    vectors = outputs["expression"]
    order = np.linalg.norm(vectors[:, None] - vectors, axis=2).argsort(axis=1)
    return _grid([[faces[index] for index in row] for row in order])


def _people(crop: CropSpec) -> Faces:
    cropper = FaceCropper()
    photos = [read_photo(path) for path in sorted(PEOPLE.glob("*.jpg"))]
    return to_array([cropper.crop(photo, cropper.one(photo), crop).pixels for photo in photos])


def _transfers(model: ProductionModel, faces: Faces) -> list[list[np.ndarray]]:
    conditions = model.encode(faces)["condition"]
    return [
        [face, *model(np.stack([face] * len(faces)), conditions - condition)["picture"]]
        for face, condition in zip(faces, conditions, strict=True)
    ]


def _grid(
    rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str] = ()
) -> UInt8[np.ndarray, "h w 3"]:
    """Return faces, 3 h w in [0, 1], in rows; each row has its caption below, if there are any."""
    high = FACE_PX + CAPTION_PX * bool(captions)
    sheet = Image.new("RGB", (FACE_PX * len(rows[0]), high * len(rows)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION_PX - 4)
    for line, row in enumerate(rows):
        for column, face in enumerate(row):
            levels = (face.clip(0, 1) * 255).round().astype(np.uint8)
            picture = Image.fromarray(levels.transpose(1, 2, 0)).resize((FACE_PX, FACE_PX))
            sheet.paste(picture, (column * FACE_PX, line * high))
        if captions:
            pen.text((4, line * high + FACE_PX), captions[line], "black", font)
    return np.array(sheet)
