"""A labelled contact sheet of a prepared set: a look says more than a table."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from registry.catalog import EMOTIONS
from registry.crops import CropSpec
from training.datasets.prepared import SPLITS, Prepared, PreparedError

FACE_PX = 96
CAPTION_PX = 14
COLUMNS = 10
SPEC = CropSpec(size_px=FACE_PX, margin=0.4)
UNLABELLED = "no emotion"


def sheet(data: Prepared, split: str | None = None) -> Image.Image:
    """Return a picture with up to ten faces of each emotion, evenly spread over a split or all.

    Above each face stands what it shows, and its split.
    """
    rows = [(word, chosen) for word, chosen in _by_emotion(data, split).items() if len(chosen)]
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
    try:
        sheet(data).save(path, "PNG")
    except OSError as error:
        raise PreparedError(f"{path} can't be written: {error.strerror}.") from error


def _by_emotion(data: Prepared, split: str | None) -> dict[str, np.ndarray]:
    """Return rows by emotion, every split's in turn."""
    order = np.concatenate([data.split(name) for name in ([split] if split else SPLITS)])
    word = data.index["emotion"].map(dict(enumerate(EMOTIONS))).fillna(UNLABELLED).to_numpy()[order]
    return {each: _spread(order[word == each]) for each in (*EMOTIONS, UNLABELLED)}


def _spread(rows: np.ndarray) -> np.ndarray:
    """Return up to a line of rows, evenly spread."""
    chosen: np.ndarray = rows[
        np.linspace(0, len(rows) - 1, min(COLUMNS, len(rows))).astype(np.int64)
    ]
    return chosen
