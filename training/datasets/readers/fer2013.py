"""FER2013: faces found by web search, 48 px and grey, an emotion each (Goodfellow et al., 2013).

Three copies are read: a CSV file with the pixels in a column, class folders (train/angry/FILE.jpg),
and Parquet files.
"""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from registry.catalog import FERPLUS_MARGIN
from registry.photos import SMALLEST_SIDE_PX
from training.datasets.prepared import PreparedError
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.class_folders import find_class_folders, split_pictures
from training.datasets.readers.csv_tables import Opener, TableColumns, read_rows, whole_number
from training.datasets.readers.label_maps import FER2013, WORDS
from training.datasets.readers.label_rows import (
    PERSONS_UNKNOWN,
    LabelRow,
    RejectedRows,
    filter_rows,
)
from training.datasets.readers.parquet_tables import read_parquet
from training.datasets.readers.published_splits import split_of
from training.datasets.source import MemberError, RawDataset, Source

TABLES = ("fer2013.csv", "icml_face_data.csv")
"""Names of the CSV file in its copies; the contest's train.csv has no test pictures with labels."""
COLUMNS = TableColumns(needs=("emotion", "pixels", "Usage"), order=("emotion", "pixels", "Usage"))
PIXELS = re.compile(r"[0-9]{1,3}(?: +[0-9]{1,3})*")
LABELS = {**WORDS, **FER2013}
EXPECTED = (
    "it should hold fer2013.csv with a column of pixels, class folders such as train/angry, or "
    "Parquet files"
)


@dataclass(frozen=True)
class PixelRows(Source):
    """Pictures whose pixels were read from a table."""

    pixels: Mapping[str, UInt8[np.ndarray, "side side"]]

    def read(self, member: str) -> bytes:
        """Return a picture as BMP: the same bytes on every machine."""
        if member not in self.pixels:
            raise MemberError(f"There is no {member}; get that file again.", "no such row")
        content = io.BytesIO()
        Image.fromarray(self.pixels[member]).save(content, "BMP")
        return content.getvalue()


def read(path: Path | None) -> RawDataset:
    """Return FER2013 from its CSV file, its Parquet files, or its class folders, also in a zip.

    Its public test is the validation split, its private one the test. Class folders have both in
    one folder `test`: it is the test, and 5 % of train are drawn for validation.

    Raises:
        PreparedError: `path` holds something else.
    """
    if path is not None and path.suffix.lower() == ".csv" and path.is_file():
        return _read_csv(path.name, lambda: path.open("rb"))
    if dataset := read_parquet(path, "fer2013", "FER2013"):
        return replace(dataset, cropped_margin=FERPLUS_MARGIN)
    source = DatasetFiles.locate(path, "fer2013")
    for name in TABLES:
        if (root := source.root_of(name)) is not None:
            return _read_csv(name, partial(source.open, root + name))
    return _read_folders(source)


def _read_csv(name: str, opener: Opener) -> RawDataset:
    rejected, pixels = RejectedRows(), {}
    rows = []
    for number, (location, cells) in enumerate(read_rows(name, opener, COLUMNS, rejected)):
        split, picture = split_of(cells["Usage"]), _parse_pixels(cells["pixels"])
        if picture is None:
            rejected.reject("not a square of grey levels", location, cells["pixels"])
        elif split is None:
            rejected.reject("unknown Usage", location, cells["Usage"])
        else:
            pixels[location] = picture
            label = whole_number(cells["emotion"]).lower()
            rows.append(LabelRow(location, location, f"fer{number:07d}", label, split))
    labelled = filter_rows(rows, LABELS, pixels, rejected)
    pictures, note = split_pictures(labelled)
    return RawDataset(
        source=PixelRows(pixels),
        pictures=pictures,
        cropped_margin=FERPLUS_MARGIN,
        notes=[
            f"Layout: FER2013 as {name}, a CSV file with a column of pixels.",
            note,
            PERSONS_UNKNOWN,
            *rejected.notes,
        ],
    )


def _parse_pixels(text: str) -> UInt8[np.ndarray, "side side"] | None:
    """Return the pixels of a square picture, row by row; None if the text is something else."""
    if not PIXELS.fullmatch(text):
        return None
    values = np.fromstring(text, np.int64, sep=" ")
    side = math.isqrt(len(values))
    if side < SMALLEST_SIDE_PX or side**2 != len(values) or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(side, side)


def _read_folders(source: DatasetFiles) -> RawDataset:
    rejected, members = RejectedRows(), source.pictures()
    rows = find_class_folders(members, LABELS, rejected)
    if rows is None:
        raise PreparedError(f"{source.path} isn't fer2013: {EXPECTED}.")
    labelled = filter_rows(rows, LABELS, set(members), rejected)
    pictures, note = split_pictures(labelled)
    return RawDataset(
        source=source,
        pictures=pictures,
        cropped_margin=FERPLUS_MARGIN,
        notes=["Layout: FER2013 as class folders.", note, PERSONS_UNKNOWN, *rejected.notes],
    )
