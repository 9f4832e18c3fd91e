"""A prepared folder: crops, what is known about them, and faces cut from them."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int, UInt8
from numpy.lib.format import open_memmap
from PIL import Image

from registry.crops import CropSpec, recut
from registry.files import cached_array

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
"""Columns of index.parquet; null where unknown."""
TRIPLETS = pa.schema(
    {f"{what}_{i}": pa.string() for what in ("digest", "name") for i in (1, 2, 3)}
    | {"type": pa.string(), "annotator": pa.string(), "answer": pa.int32(), "split": pa.string()}
)
"""Columns of triplets.parquet; `answer` (1 to 3) is the odd face, null where too few people agree
on it."""
ANSWERS = pa.schema(
    {
        "triplet": pa.int32(),
        "annotator": pa.dictionary(pa.int32(), pa.string()),
        "answer": pa.int8(),
    }
)
"""Columns of answers.parquet, for sets that name their annotators: a row of triplets.parquet, an
annotator, and the face that this annotator finds odd, 1 to 3."""
POINTS = "points.npy"
MEASURED_COLUMNS = ("path", "box", "face_confidence", "size_px")
"""Columns measured in the pictures; they may differ a little between machines."""


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
            PreparedError: there is none, or it isn't finished or can't be read.
        """
        folder = Path(folder)
        index = _read_table(folder / "index.parquet", SCHEMA).to_pandas()
        triplets = _read_if_there(folder / "triplets.parquet", TRIPLETS)
        answers = _read_if_there(folder / "answers.parquet", ANSWERS)
        return cls(folder, set_name_of(folder), index, triplets, answers)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the set's contents; independent of order, folder and machine."""
        index = self.index.drop(columns=list(MEASURED_COLUMNS))
        tables = [index] if self.triplets is None else [index, self.triplets]
        lines = [line for table in tables for line in sorted(_json_lines(table))]
        if self.answers is not None:
            lines.append(_digest_of_answers(self.answers))
        return hashlib.sha256("\n".join([self.name, *lines]).encode()).hexdigest()

    @cached_property
    def points(self) -> Float[np.ndarray, "n points 2"] | None:
        """Positions of the same points of each row's face, x and y as fractions of its crop's side.

        None if they are unknown.

        Raises:
            PreparedError: the file can't be read.
        """
        path = self.folder / POINTS
        if not path.exists():
            return None
        try:
            return np.asarray(np.load(path), dtype=np.float32)
        except (OSError, ValueError, EOFError) as error:
            reason = reason_of(error)
            raise PreparedError(
                f"{path} can't be read: {reason}; prepare the set again."
            ) from error

    def split(self, name: str) -> Int[np.ndarray, "rows"]:
        """Return the rows of the split train, validation or test."""
        if name not in SPLITS:
            raise PreparedError(f"There is no split {name!r}; choose one of {', '.join(SPLITS)}.")
        return np.flatnonzero(self.index["split"].to_numpy() == name)

    def faces(self, spec: CropSpec) -> UInt8[np.ndarray, "n size size 3"]:
        """Return every row's face as `spec` cuts it, RGB; cut once, then read from disk.

        Raises:
            PreparedError: `spec` has no roll, a crop can't be read, or the cache can't be written.
        """
        if not spec.roll:
            raise PreparedError("Prepared faces are level already; use a crop with roll.")
        return self.cached_map(
            f"{spec.size_px}px-m{spec.margin:g}", lambda path: self._write_faces(spec, path)
        )

    def cached(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array that `compute` returns; computed once, then read from disk.

        Args:
            name: unique among the cached arrays; it contains, for example, a network's digest.
            compute: returns the array.

        Raises:
            PreparedError: the cache can't be written.
        """
        file = f"{name}-{self.digest[:12]}"
        return np.array(self.cached_map(file, lambda path: np.save(path, compute())))

    def cached_map(self, name: str, write: Callable[[Path], None]) -> np.memmap:
        """Return the array in cache/`name`.npy as a read-only memory map, made if it is absent.

        Args:
            name: name of the file, without its suffix.
            write: writes the array to a path, its argument.

        Raises:
            PreparedError: the cache can't be written.
        """
        with writing(self.folder / "cache"):
            return cached_array(self.folder / "cache" / f"{name}.npy", write)

    def read_crop(self, row: int) -> UInt8[np.ndarray, "side side 3"]:
        """Return a row's stored crop, RGB.

        Raises:
            PreparedError: it can't be read.
        """
        path = self.folder / str(self.index["path"].to_numpy()[row])
        try:
            with Image.open(path) as crop:
                return np.asarray(crop.convert("RGB"))
        except OSError as error:
            reason = reason_of(error)
            raise PreparedError(f"{path} can't be read: {reason}; prepare the set again.") from None

    def _write_faces(self, spec: CropSpec, path: Path) -> None:
        faces = create_faces(path, len(self.index), spec.size_px)
        margins = self.index["margin"].to_numpy(dtype=float)

        def fill(row: int) -> None:
            faces[row] = recut(self.read_crop(row), float(margins[row]), spec)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            deque(pool.map(fill, range(len(faces))), maxlen=0)
        faces.flush()


def create_faces(path: Path, count: int, size_px: int) -> np.memmap:
    """Return a new .npy file of faces, all zero, mapped into memory for writing.

    Its disk space is reserved at once: a write into a map on a full disk would kill the process.

    Raises:
        OSError: it can't be written, or the disk is full.
    """
    shape = (count, size_px, size_px, 3)
    faces: np.memmap = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return faces


def set_name_of(folder: Path) -> str:
    """Return the name of the set in a prepared folder; empty if there is none."""
    try:
        metadata = pq.read_schema(folder / "index.parquet").metadata or {}
    except (pa.ArrowException, OSError):
        return ""
    return str(metadata.get(b"set", b"").decode())


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError of a block that writes to `folder` into a PreparedError.

    Raises:
        PreparedError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        inside = Path(str(error.filename or folder)).is_relative_to(folder)
        what = f"{folder} can't be written" if inside else "A file can't be read or written"
        raise PreparedError(
            f"{what}: {reason_of(error)}; fix that and run the same command again."
        ) from error


def reason_of(error: Exception) -> str:
    """Return an error's text on one line, or its type if it has none.

    For an OSError: the system's message and the file, as in `Permission denied: '/data/a.npy'`.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {str(error.filename)!r}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _read_if_there(path: Path, schema: pa.Schema) -> pd.DataFrame | None:
    return _read_table(path, schema).to_pandas() if path.exists() else None


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        if not path.is_file():
            raise PreparedError(
                f"{path.parent} isn't a prepared set: it has no {path.name}; "
                "make it with `python -m training prepare SET SOURCE DEST`."
            )
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise PreparedError(f"{path} can't be read; prepare the set again.") from error
    except OSError as error:
        raise PreparedError(
            f"{path} can't be read: {reason_of(error)}; fix that or prepare the set again."
        ) from error
    if not table.schema.equals(schema):
        raise PreparedError(f"{path} was written by another version; prepare the set again.")
    return table


def _json_lines(table: pd.DataFrame) -> list[str]:
    columns = [_plain_values(table[column]) for column in table]
    return [json.dumps(row) for row in zip(*columns, strict=True)]


def _digest_of_answers(answers: pd.DataFrame) -> str:
    """Return the digest of the answers, ordered like the triplets; fast for millions."""
    rows = pd.util.hash_pandas_object(answers, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()


def _plain_values(column: pd.Series) -> list[object]:
    """Return a column's values for JSON: arrays as lists, missing values as None."""
    return [v.tolist() if isinstance(v, np.ndarray) else None if pd.isna(v) else v for v in column]
