"""A picture of what a starter answers about the synthetic people of the demo, for its run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from registry.crops import CropSpec, to_tensor
from registry.faces import FaceCropper
from registry.photos import read_photo

PEOPLE = Path(__file__).parents[2] / "demo" / "examples"
FACE_PX, CAPTION_PX = 128, 18
GENERATED = "All but the first face of this row are generated."
Faces = Float[Tensor, "people 3 size size"]


def starter_sheet(
    network: nn.Module, encoder: nn.Module | None, crop: CropSpec, labels: Sequence[str]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a sheet, a row for each person.

    A classifier: the face under its label. A generator: the face, then with every person's
    expression, that of the n-th row in column n + 1. An embedding: the face, then all others from
    the nearest expression to the farthest.

    Args:
        network: in eval mode.
        encoder: the generator's; None for the others.
        crop: how faces are cut for it.
        labels: what a classifier's logits mean.
    """
    faces = _people(crop)
    with torch.inference_mode():
        if encoder is not None:
            return _grid(_transfers(network, encoder, faces), [GENERATED] * len(faces))
        outputs = network(faces)
    if labels:
        captions = [labels[index] for index in outputs["logits"].argmax(1).tolist()]
        return _grid([[face] for face in faces], captions)
    order = torch.cdist(outputs["expression"], outputs["expression"]).argsort(dim=1)
    return _grid([[faces[index] for index in row] for row in order.tolist()])


def _people(crop: CropSpec) -> Faces:
    cropper = FaceCropper()
    photos = [read_photo(path) for path in sorted(PEOPLE.glob("*.jpg"))]
    return to_tensor([cropper.crop(photo, cropper.one(photo), crop).pixels for photo in photos])


def _transfers(network: nn.Module, encoder: nn.Module, faces: Faces) -> list[list[Tensor]]:
    conditions = encoder(faces)["condition"]
    return [
        [face, *network(face.expand_as(faces), conditions - condition)["picture"]]
        for face, condition in zip(faces, conditions, strict=True)
    ]


def _grid(
    rows: Sequence[Sequence[Tensor]], captions: Sequence[str] = ()
) -> UInt8[np.ndarray, "h w 3"]:
    """Return faces, 3 h w in [0, 1], in rows; each row has its caption below, if there are any."""
    high = FACE_PX + CAPTION_PX * bool(captions)
    sheet = Image.new("RGB", (FACE_PX * len(rows[0]), high * len(rows)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION_PX - 4)
    for line, row in enumerate(rows):
        for column, face in enumerate(row):
            levels = (face.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            picture = Image.fromarray(levels).resize((FACE_PX, FACE_PX))
            sheet.paste(picture, (column * FACE_PX, line * high))
        if captions:
            pen.text((4, line * high + FACE_PX), captions[line], "black", font)
    return np.array(sheet)
