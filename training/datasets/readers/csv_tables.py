"""Tables that sets come with, read row by row: each row is used, or refused with its line.

Tables pass through spreadsheets and other systems on their way to a user. So any of these is read:
a byte-order mark, UTF-16, lines that end as on Windows or old Macs, quotes, commas, semicolons or
tabs, a header or none where the columns are known, spaces around values.

A row is a line, so that a stray quote spoils one row only (`fec_csv` says why).
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, NamedTuple, cast

import pandas as pd

from training.datasets.prepared import PreparedError, reason_of
from training.datasets.readers.label_rows import RejectedRows
from training.datasets.readers.zips import READ_ERRORS

DELIMITERS = ",;\t"
LONGEST_LINE = 1 << 20
"""Characters of a line that are read at once."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WHOLE = re.compile(r"\+?([0-9]+)(?:\.0*)?")
Opener = Callable[[], io.BufferedIOBase]


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The columns of a table.

    Args:
        needs: those that are read.
        order: all columns of a table without a header, in order; empty if it must have one.
        aliases: other names in a header, in lower case -> the names in `needs`.
    """

    needs: Sequence[str]
    order: Sequence[str] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)


class TableRow(NamedTuple):
    """A row of a table."""

    location: str
    """Its file and line, such as `labels.csv line 3`."""
    cells: dict[str, str]
    """Column -> value without spaces around it, of the columns that are read."""


def read_rows(
    name: str, opener: Opener, columns: TableColumns, rejected: RejectedRows
) -> Iterator[TableRow]:
    """Yield the rows of a table; those that are no rows go to `rejected`, with their lines.

    Args:
        name: name of the file, for messages.
        opener: opens the file for reading bytes.
        columns: the columns of the table.
        rejected: counts the rows that aren't used.

    Raises:
        PreparedError: the file can't be read, is empty, or lacks a column.
    """
    with _reading(name), opener() as file:
        lines = _lines_of(file, _encoding(opener))
        first = next(lines, None)
        if first is None:
            raise PreparedError(f"{name} is empty; get that file again.")
        delimiter, header = _header(first[1], columns)
        places = _places(name, header or list(columns.order), columns)
        if not header:
            yield from _rows(name, iter([first]), delimiter, places, rejected)
        yield from _rows(name, lines, delimiter, places, rejected)


def read_table(
    name: str, opener: Opener, columns: TableColumns, rejected: RejectedRows
) -> pd.DataFrame:
    """Return the rows of `read_rows` as a table of text, with their lines in `location`."""
    rows = [
        row.cells | {"location": row.location} for row in read_rows(name, opener, columns, rejected)
    ]
    return pd.DataFrame(rows, columns=[*columns.needs, "location"], dtype=object)


def whole_number(value: str) -> str:
    """Return a whole number without the `.0` that pandas and spreadsheets add; other text as is."""
    found = WHOLE.fullmatch(value.strip())
    return found[1] if found else value.strip()


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except PreparedError:
        raise
    except READ_ERRORS as error:
        raise PreparedError(
            f"{name} can't be read: {reason_of(error)}; get that file again."
        ) from error


def numbered_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text that aren't blank, with their numbers from 1."""
    return _lines_of(io.BytesIO(content), _encoding(lambda: io.BytesIO(content)))


def _lines_of(file: io.BufferedIOBase, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that aren't blank, with their numbers; a far too long one in parts."""
    text, number = io.TextIOWrapper(cast("IO[bytes]", file), encoding, errors="replace"), 1
    while line := text.readline(LONGEST_LINE):
        if line.strip():
            yield number, line.removesuffix("\n")
        number += line.endswith("\n")


def _encoding(opener: Opener) -> str:
    with opener() as file:
        return "utf-16" if file.read(2) in UTF16 else "utf-8-sig"


def _header(line: str, columns: TableColumns) -> tuple[str, list[str] | None]:
    """Return the delimiter of a table, and its header; None if its first line is a row.

    A header names at least half of the columns that are needed.
    """
    for delimiter in DELIMITERS:
        try:
            cells = [cell.strip() for cell in _cells(line, delimiter)]
        except csv.Error:
            continue
        names = [columns.aliases.get(cell.lower(), cell) for cell in cells]
        if 2 * len(set(names) & set(columns.needs)) >= len(columns.needs):
            return delimiter, names
    return ",", None


def _places(name: str, header: list[str], columns: TableColumns) -> tuple[int, dict[str, int]]:
    """Return the number of columns, and the place of each that is read."""
    missing = [column for column in columns.needs if column not in header]
    if missing:
        raise PreparedError(
            f"{name} has no column {', '.join(missing)}; use the set's own file, whose first line "
            "names its columns."
        )
    return len(header), {column: header.index(column) for column in columns.needs}


def _rows(
    name: str,
    lines: Iterator[tuple[int, str]],
    delimiter: str,
    places: tuple[int, dict[str, int]],
    rejected: RejectedRows,
) -> Iterator[TableRow]:
    count, place_of = places
    for number, line in lines:
        location = f"{name} line {number}"
        try:
            cells = _cells(line, delimiter)
        except csv.Error:
            rejected.reject("quotes don't match", location, line)
            continue
        if len(cells) == count:
            yield TableRow(location, {c: cells[i].strip() for c, i in place_of.items()})
        else:
            rejected.reject(f"not {count} values", location, line)


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
