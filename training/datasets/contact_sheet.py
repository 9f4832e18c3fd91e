"""A labelled contact sheet of a prepared set."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from registry.catalog import EMOTIONS
from registry.crops import CropSpec
from training.datasets.prepared import SPLITS, Prepared, PreparedError, reason_of

FACE_PX = 96
CAPTION_PX = 14
COLUMNS = 10
SPEC = CropSpec(size_px=FACE_PX, margin=0.4)
UNLABELLED = "no emotion"


def draw_sheet(data: Prepared, split: str | None = None) -> Image.Image:
    """Return a picture with a row of up to ten faces for each emotion, captioned with their split.

    Args:
        data: the set.
        split: train, validation or test; None for all. Faces are taken at equal distances.
    """
    rows = [(word, chosen) for word, chosen in _choose_rows(data, split).items() if len(chosen)]
    tile = FACE_PX + CAPTION_PX
    widest = max(len(chosen) for _, chosen in rows)
    picture = Image.new("RGB", (widest * FACE_PX, len(rows) * tile), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(CAPTION_PX - 4)
    faces, splits = data.faces(SPEC), data.index["split"].to_numpy()
    for line, (word, chosen) in enumerate(rows):
        for column, row in enumerate(chosen.tolist()):
            left, top = column * FACE_PX, line * tile
            pen.text((left + 2, top), f"{word}, {splits[row]}", "black", font)
            picture.paste(Image.fromarray(np.asarray(faces[row])), (left, top + CAPTION_PX))
    return picture


def write_sheet(data: Prepared, path: Path) -> None:
    """Write the contact sheet as PNG.

    Raises:
        PreparedError: the file can't be written.
    """
    picture = draw_sheet(data)
    try:
        picture.save(path, "PNG")
    except OSError as error:
        raise PreparedError(
            f"{path} can't be written: {reason_of(error)}; name another file."
        ) from error


def _choose_rows(data: Prepared, split: str | None) -> dict[str, np.ndarray]:
    """Return up to COLUMNS rows by emotion, in the order of the splits."""
    order = np.concatenate([data.split(name) for name in ([split] if split else SPLITS)])
    words = data.index["emotion"].map(dict(enumerate(EMOTIONS))).fillna(UNLABELLED)
    by_row = words.to_numpy()[order]
    return {word: _thin_out(order[by_row == word]) for word in (*EMOTIONS, UNLABELLED)}


def _thin_out(rows: np.ndarray) -> np.ndarray:
    """Return up to COLUMNS of the rows, at equal distances."""
    places = np.linspace(0, len(rows) - 1, min(COLUMNS, len(rows)))
    chosen: np.ndarray = rows[places.astype(np.int64)]
    return chosen
