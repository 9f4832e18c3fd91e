"""Sets as Parquet files, as dataset hubs keep them: a picture and its label or votes a row."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from registry.catalog import EMOTIONS
from training.datasets.prepared import PreparedError, reason_of
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.csv_tables import whole_number
from training.datasets.readers.ferplus_votes import ALIASES, VOTES, voted_picture
from training.datasets.readers.label_maps import WORDS
from training.datasets.readers.label_rows import (
    PERSONS_UNKNOWN,
    LabelRow,
    RejectedRows,
    filter_rows,
    picture_name,
)
from training.datasets.readers.published_splits import final_splits, split_of
from training.datasets.source import MemberError, PictureRecord, RawDataset, Source

SUFFIX = ".parquet"
LABELS = ("label", "labels", "emotion", "expression", "class")
SPLITS = ("usage", "split", "set")
"""Names of columns, in lower case."""
MOST_ROWS = 5_000_000
LARGEST_GROUP_BYTES = 1 << 30
"""Of the pictures that are read at once, unpacked."""
FER_NAME = re.compile("fer[0-9]{7}")
"""How FER+ names its pictures; its fixed triplets name them so."""
READING = threading.Lock()
"""A Parquet file is read by one thread at a time."""


@dataclass(frozen=True)
class ParquetPictures(Source):
    """Pictures in rows of Parquet files; a member is `FILE row NUMBER`, from 0."""

    files: DatasetFiles

    def read(self, member: str) -> bytes:
        """Return a picture's bytes.

        Raises:
            MemberError: there are none.
        """
        file, _, row = member.rpartition(" row ")
        with READING:
            content = _picture(self.files, file, int(row))
        if content is None:
            raise MemberError(f"{member} has no picture; get that file again.", "an empty row")
        return content


def read_parquet(path: Path | None, set_name: str, title: str) -> RawDataset | None:
    """Return a set in Parquet files, a single one or those of a folder or zip; None if it has none.

    Each file needs a column of pictures, as bytes or as a struct with `bytes`, and FER+'s columns
    of votes, or a column `label` with words, or with numbers that the file names. The split is in
    the file's path, as in `data/test-00000-of-00001.parquet`, or in a column `Usage` or `split`.

    Args:
        path: the file, folder or zip.
        set_name: name of the set, for messages.
        title: name of the set in the report.

    Raises:
        PreparedError: `path` can't be read, or a file lacks a column.
    """
    if path is not None and path.suffix.lower() == SUFFIX and path.is_file():
        files, members = DatasetFiles(path.parent), [path.name]
    else:
        files = DatasetFiles.locate(path, set_name)
        members = [m for m in files.members() if m.lower().endswith(SUFFIX)]
    if not members:
        return None
    rejected, tables = RejectedRows(), [_Table(files, member) for member in members]
    read_pictures = _voted if all(table.has_votes for table in tables) else _labelled
    listed = list(read_pictures(tables, rejected))
    splits, note = final_splits({picture.name: picture.split for picture in listed})
    return RawDataset(
        source=ParquetPictures(files),
        pictures=[replace(picture, split=splits[picture.name]) for picture in listed],
        notes=[
            f"Layout: {title} as Parquet, files: {', '.join(members)}.",
            note,
            PERSONS_UNKNOWN,
            *rejected.notes,
        ],
    )


class _Row(NamedTuple):
    member: str
    name: str
    split: str
    """As published; empty if it isn't."""
    cells: dict[str, Any]


class _Table:
    """The columns of a Parquet file but its pictures.

    Raises:
        PreparedError: it can't be read or has no pictures.
    """

    def __init__(self, files: DatasetFiles, member: str) -> None:
        self.member, self._file = member, _opened(files, member)
        schema = self._file.schema_arrow
        self._columns = {name.lower(): name for name in schema.names}
        self._votes = {ALIASES.get(lower, lower): name for lower, name in self._columns.items()}
        self._image = _image_column(schema, member)

    @property
    def has_votes(self) -> bool:
        """Whether it has FER+'s columns; some copies lack `unknown` and `no face`."""
        return all(emotion in self._votes for emotion in EMOTIONS)

    def rows(self, columns: Mapping[str, str]) -> Iterator[_Row]:
        """Yield the rows.

        Args:
            columns: name of a cell -> column.
        """
        split = next((self._columns[name] for name in SPLITS if name in self._columns), None)
        parts = re.split(r"[/\W_]", self.member)
        in_path = next(filter(None, map(split_of, parts)), "")
        is_struct = pa.types.is_struct(self._file.schema_arrow.field(self._image).type)
        wanted = [*columns.values(), *filter(None, [split])]
        wanted += [f"{self._image}.path"] if is_struct else []
        for number, row in enumerate(self._file.read(columns=wanted).to_pylist()):
            member = f"{self.member} row {number}"
            stem = PurePosixPath((row.get(self._image) or {}).get("path") or "").stem
            yield _Row(
                member=member,
                name=stem if FER_NAME.fullmatch(stem) else picture_name(f"{member}."),
                split=in_path or split_of(str(row.get(split))) or "",
                cells={cell: row[column] for cell, column in columns.items()},
            )

    def vote_rows(self) -> Iterator[_Row]:
        """Yield the rows with their votes, by the words of VOTES."""
        return self.rows({word: self._votes[word] for word in VOTES if word in self._votes})

    def label_rows(self) -> Iterator[_Row]:
        """Yield the rows with their `label`, a word in lower case.

        Raises:
            PreparedError: there is no column of labels, or its numbers have no names.
        """
        column = next((self._columns[name] for name in LABELS if name in self._columns), None)
        if column is None:
            raise PreparedError(
                f"{self.member} has neither FER+'s columns of votes nor a column label; get "
                "another copy of the set."
            )
        words = self._label_words(column)
        for row in self.rows({"label": column}):
            label = whole_number(str(row.cells["label"])).lower()
            yield row._replace(cells={"label": words.get(label, label)})

    def _label_words(self, column: str) -> dict[str, str]:
        """Return number -> word, as the hubs' library writes them into the file; empty for text."""
        schema = self._file.schema_arrow
        if not pa.types.is_integer(schema.field(column).type):
            return {}
        try:
            described = json.loads((schema.metadata or {})[b"huggingface"])
            names = described["info"]["features"][column]["names"]
        except (KeyError, ValueError, TypeError):
            raise PreparedError(
                f"{self.member} has numbers in its column {column} and doesn't say what they mean; "
                "get a copy with words, or sort the pictures into folders for `folder`."
            ) from None
        return {str(number): str(name).lower() for number, name in enumerate(names)}


def _voted(tables: list[_Table], rejected: RejectedRows) -> Iterator[PictureRecord]:
    names = set[str]()
    for row in (row for table in tables for row in table.vote_rows()):
        votes = {word: whole_number(str(row.cells.get(word, 0))) for word in VOTES}
        if not all(count.isdecimal() for count in votes.values()):
            rejected.reject("votes aren't numbers", row.member, ", ".join(votes.values()))
        elif row.name in names:
            rejected.reject("a duplicate", row.member, row.name)
        else:
            names.add(row.name)
            numbers = {word: int(count) for word, count in votes.items()}
            yield voted_picture(row.member, row.name, row.split, numbers)


def _labelled(tables: list[_Table], rejected: RejectedRows) -> Iterator[PictureRecord]:
    rows = [
        LabelRow(row.member, row.member, row.name, row.cells["label"], row.split)
        for table in tables
        for row in table.label_rows()
    ]
    for row, emotion in filter_rows(rows, WORDS, {row.member for row in rows}, rejected):
        yield PictureRecord(member=row.member, name=row.name, split=row.split, emotion=emotion)


def _image_column(schema: pa.Schema, member: str) -> str:
    """Return the column of pictures: the first of bytes, or of a struct that has `bytes`."""
    for field in schema:
        is_struct = pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        if is_struct or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            return str(field.name)
    raise PreparedError(f"{member} has no column of pictures, as bytes; get another copy.")


@lru_cache(maxsize=64)
def _opened(files: DatasetFiles, member: str) -> pq.ParquetFile:
    """Open a file and check that its groups of rows fit into memory.

    Raises:
        PreparedError: they don't, or it can't be read.
    """
    try:
        place = files.path / files.root / member
        content = place if files.path.is_dir() else pa.BufferReader(files.read(member))
        file = pq.ParquetFile(content)
    except (pa.ArrowException, OSError) as error:
        raise PreparedError(
            f"{member} can't be read as Parquet: {reason_of(error)}; get that file again."
        ) from error
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    if file.metadata.num_rows > MOST_ROWS or any(
        group.total_byte_size > LARGEST_GROUP_BYTES for group in groups
    ):
        raise PreparedError(
            f"{member} isn't read: it has more than {MOST_ROWS:,} rows, or a group of rows that "
            f"unpacks to more than {LARGEST_GROUP_BYTES >> 20} MiB; write it in smaller groups."
        )
    return file


def _picture(files: DatasetFiles, member: str, row: int) -> bytes | None:
    file, first = _opened(files, member), 0
    for number in range(file.num_row_groups):
        count = file.metadata.row_group(number).num_rows
        if row < first + count:
            value = _group(files, member, number)[row - first].as_py()
            content = value.get("bytes") if isinstance(value, dict) else value
            return bytes(content) if content else None
        first += count
    return None


@lru_cache(maxsize=1)
def _group(files: DatasetFiles, member: str, number: int) -> pa.ChunkedArray:
    file = _opened(files, member)
    column = _image_column(file.schema_arrow, member)
    try:
        return file.read_row_group(number, columns=[column]).column(column)
    except (pa.ArrowException, OSError) as error:
        raise MemberError(
            f"{member} can't be read: {reason_of(error)}; get that file again.",
            "the file is damaged or missing",
        ) from error
