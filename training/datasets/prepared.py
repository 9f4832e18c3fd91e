"""A prepared folder: crops, what is known about them, and faces cut from them."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from jaxtyping import Float, Int, UInt8
from numpy.lib.format import open_memmap
from PIL import Image

from registry.crops import CropSpec, recut

SPLITS = ("train", "validation", "test")
SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "name": pa.string(),
        "person": pa.string(),
        "sex": pa.string(),
        "ethnicity": pa.string(),
        "age": pa.int32(),
        "emotion": pa.int32(),
        "votes": pa.list_(pa.int32()),
        "angle": pa.float64(),
        "gaze": pa.string(),
        "split": pa.string(),
        "source": pa.string(),
        "box": pa.list_(pa.float64()),
        "face_confidence": pa.float64(),
        "digest": pa.string(),
        "margin": pa.float64(),
        "size_px": pa.int32(),
    }
)
"""Of index.parquet; null where unknown."""
TRIPLETS = pa.schema(
    {f"{what}_{i}": pa.string() for what in ("digest", "name") for i in (1, 2, 3)}
    | {"type": pa.string(), "annotator": pa.string(), "answer": pa.int32(), "split": pa.string()}
)
"""Of triplets.parquet; `answer` (1 to 3) is the odd one, null where too few people agree on it."""
ANSWERS = pa.schema(
    {
        "triplet": pa.int32(),
        "annotator": pa.dictionary(pa.int32(), pa.string()),
        "answer": pa.int8(),
    }
)
"""Of answers.parquet, where a set names its annotators: each says of a row of triplets.parquet
which face is odd, 1 to 3."""
POINTS = "points.npy"
MEASURED = ("path", "box", "face_confidence", "size_px")
"""Columns that follow from the pictures by measurement and may differ a hair between machines."""


class PreparedError(ValueError):
    """Data that can't be prepared or opened, in a sentence that says what to do."""


class Prepared:
    """A folder made by `prepare`; open it with `Prepared.open`."""

    def __init__(
        self,
        folder: Path,
        name: str,
        index: pd.DataFrame,
        triplets: pd.DataFrame | None,
        answers: pd.DataFrame | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self.index = index
        self.triplets = triplets
        self.answers = answers

    @classmethod
    def open(cls, folder: Path | str) -> "Prepared":
        """Return the prepared set in `folder`.

        Raises:
            PreparedError: it holds none, or one that isn't finished.
        """
        folder = Path(folder)
        table = _read(folder / "index.parquet", SCHEMA)
        asked, said = folder / "triplets.parquet", folder / "answers.parquet"
        triplets = _read(asked, TRIPLETS).to_pandas() if asked.exists() else None
        answers = _read(said, ANSWERS).to_pandas() if said.exists() else None
        return cls(folder, held_by(folder), table.to_pandas(), triplets, answers)

    @cached_property
    def digest(self) -> str:
        """The sha256 of what the set holds, whatever its order, folder or machine."""
        index = self.index.drop(columns=list(MEASURED))
        tables = [index] if self.triplets is None else [index, self.triplets]
        lines = [line for table in tables for line in sorted(_lines(table))]
        if self.answers is not None:
            lines.append(_fingerprint(self.answers))
        return hashlib.sha256("\n".join([self.name, *lines]).encode()).hexdigest()

    @cached_property
    def points(self) -> Float[np.ndarray, "n points 2"] | None:
        """Where the same points of each row's face lie, x and y in sides of its crop, if known."""
        path = self.folder / POINTS
        return np.load(path).astype(np.float32) if path.exists() else None

    def split(self, name: str) -> Int[np.ndarray, "rows"]:
        """Return the rows of the split train, validation or test."""
        if name not in SPLITS:
            raise PreparedError(f"There is no split {name!r}; choose one of {', '.join(SPLITS)}.")
        return np.flatnonzero(self.index["split"].to_numpy() == name)

    def faces(self, spec: CropSpec) -> UInt8[np.ndarray, "n size size 3"]:
        """Return every row's face as `spec` cuts it, RGB; cut once, then read from disk.

        Raises:
            PreparedError: faces that aren't roll-aligned are asked for.
        """
        if not spec.roll:
            raise PreparedError("Prepared faces are level already; ask for a crop with roll.")
        path = self.folder / "cache" / f"{spec.size_px}px-m{spec.margin:g}.npy"
        path.parent.mkdir(exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                self._cut(spec, path)
        faces: np.memmap = np.load(path, mmap_mode="r")
        return faces

    def cached(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what `compute` makes of the faces; made once, then read from disk.

        `name` tells it from everything else, such as by the digest of what looked at the faces.
        """
        path = self.folder / "cache" / f"{name}-{self.digest[:12]}.npy"
        path.parent.mkdir(exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                half = path.with_suffix(".part.npy")
                np.save(half, compute())
                half.replace(path)
        made: np.ndarray = np.load(path)
        return made

    def _cut(self, spec: CropSpec, path: Path) -> None:
        half = path.with_suffix(".part")
        shape = (len(self.index), spec.size_px, spec.size_px, 3)
        faces = open_memmap(half, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]

        def fill(row: int, path: str, margin: float) -> None:
            with Image.open(self.folder / path) as crop:
                faces[row] = recut(np.asarray(crop.convert("RGB")), margin, spec)

        rows = range(len(self.index)), self.index["path"], self.index["margin"]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            deque(pool.map(fill, *rows), maxlen=0)
        faces.flush()
        del faces
        half.replace(path)


def held_by(folder: Path) -> str:
    """Return the name of the set in a prepared folder; empty where there is none."""
    try:
        metadata = pq.read_schema(folder / "index.parquet").metadata or {}
    except (pa.ArrowInvalid, OSError):
        return ""
    return str(metadata.get(b"set", b"").decode())


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.is_file():
        raise PreparedError(
            f"{path.parent} isn't a prepared set: it has no {path.name}; "
            "make it with `python -m training prepare SET SOURCE DEST`."
        )
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise PreparedError(f"{path} can't be read; prepare the set again.") from error
    if not table.schema.equals(schema):
        raise PreparedError(f"{path} was written by another version; prepare the set again.")
    return table


def _lines(table: pd.DataFrame) -> list[str]:
    columns = [_plain(table[column]) for column in table]
    return [json.dumps(row) for row in zip(*columns, strict=True)]


def _fingerprint(answers: pd.DataFrame) -> str:
    """Return the digest of millions of answers, in their order, which is that of the triplets."""
    rows = pd.util.hash_pandas_object(answers, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()


def _plain(column: pd.Series) -> list[object]:
    """Return a column as JSON takes it: numbers as floats, arrays as lists, nothing as None."""
    return [v.tolist() if isinstance(v, np.ndarray) else None if pd.isna(v) else v for v in column]
