"""Rows of FEC's CSV files: three faces, their type, and which one each annotator finds odd.

A row is a line, and quotes end with it, so that a stray quote spoils one row only; blank lines are
ignored. `pandas.read_csv` can't do that: a stray quote there takes the following lines into its
row, and faults have no line number. With our checks of lines around it, it took twice as long as
pyarrow and 30 % more memory (100,000 rows: 3.3 s instead of 1.7 s).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import count

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from jaxtyping import Bool, Float

TYPES = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")
PLACES = (1, 2, 3)
"""Positions of the faces in a triplet."""
EDGES = ("left", "right", "top", "bottom")
"""Edges of a face's box, as fractions of the photo's width and height."""
ANNOTATORS = range(1, 7)
"""Positions of a triplet's annotators in its row."""
COLUMNS = (
    *(f"{what}_{i}" for i in PLACES for what in ("url", *EDGES)),
    "type",
    *(f"{what}_{j}" for j in ANNOTATORS for what in ("annotator", "answer")),
)
FEWEST_COLUMNS = COLUMNS.index("answer_1") + 1
"""Number of columns of a row with a single annotator."""
ADDRESS = r"^(?i:https?)://[^/?#@\s\x00-\x20]+(?:[/?#][^\s\x00-\x20]*)?$"
NUMBER = r"^(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,2})?$"
SAVED_NUMBER = r"^([0-9]+)\.0+$"
"""A whole number, as pandas saves a column that has gaps, which are NaN then."""
QUOTED = r'"[^"\r]*"'
CELL = f'(?:{QUOTED}|[^",\r]*)'
LINE = f"^{CELL}(?:,{CELL})*$"
BLOCK_BYTES = 1 << 24
MOST_NAMED = 20
"""Number of faults that are named; the rest are counted."""
MOST_LETTERS = 80
"""Characters of a faulty value that are shown."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A row that can't be used."""

    line: int
    reason: str
    value: str


@dataclass(frozen=True, kw_only=True)
class FecCsv:
    """A CSV file's usable rows, and the faults of the first unusable ones.

    `table` has COLUMNS: addresses, types and annotators as dictionaries, edges as float64, answers
    as int8, 0 for none.
    """

    name: str
    table: pa.Table
    dropped: int
    faults: list[Fault]

    @property
    def notes(self) -> list[str]:
        """Numbers of rows and dropped rows, and the first faults, a sentence each."""
        total = f"{self.name}: {len(self.table) + self.dropped:,} rows, {self.dropped:,} dropped."
        named = [f"{self.name}, line {f.line:,}: {f.reason}: {f.value!r}." for f in self.faults]
        more = self.dropped - len(self.faults)
        return [total, *named, *([f"{self.name}: and {more:,} more rows."] if more else [])]


def parse_csv(name: str, file: BufferedIOBase) -> FecCsv:
    """Return the rows of a CSV file, read block by block.

    Args:
        name: name of the file, for messages.
        file: opened for reading bytes.
    """
    tables: list[pa.Table] = [_convert(_split_cells(pa.array([], pa.string())))]
    faults: list[Fault] = []
    dropped, line = 0, 1
    for text in _read_blocks(file):
        lines = pa.array(text.split("\n"))
        table, found, fault_count = _parse_lines(lines, line)
        tables.append(table)
        faults = [*faults, *found][:MOST_NAMED]
        dropped, line = dropped + fault_count, line + len(lines) - 1
    table = pa.concat_tables(tables).unify_dictionaries()
    return FecCsv(name=name, table=table, dropped=dropped, faults=faults)


def _read_blocks(file: BufferedIOBase) -> Iterator[str]:
    """Yield whole lines, some MB at a time."""
    for number in count():
        block = file.read(BLOCK_BYTES)
        if not block:
            return
        text = (block + file.readline(BLOCK_BYTES)).decode("utf-8", "replace")
        yield text if number else text.removeprefix("\ufeff")


def _parse_lines(lines: pa.Array, first: int) -> tuple[pa.Table, list[Fault], int]:
    """Return the usable rows, the first faults in order, and the number of all faults.

    Args:
        lines: consecutive lines of the file.
        first: line number of the first one.
    """
    numbers = np.arange(first, first + len(lines))
    lines = pc.utf8_rtrim(lines, "\r")
    filled = pc.not_equal(pc.utf8_trim_whitespace(lines), "").to_numpy(zero_copy_only=False)
    columns = pc.add(pc.count_substring(pc.replace_substring_regex(lines, QUOTED, ""), ","), 1)
    well_formed = filled & _is_well_formed(lines, columns.to_numpy())
    malformed = [
        _malformed_line(int(numbers[i]), lines[i].as_py()) for i in _first(filled & ~well_formed)
    ]
    cells = _split_cells(_pad(lines.filter(well_formed), columns.filter(well_formed)))
    reasons = _first_reasons(cells)
    usable = reasons == ""
    line_numbers = numbers[well_formed]
    wrong = [
        _wrong_cell(cells.slice(i, 1), int(line_numbers[i]), reasons[i]) for i in _first(~usable)
    ]
    faults = sorted([*malformed, *wrong], key=lambda fault: fault.line)
    return _convert(cells.filter(pa.array(usable))), faults, int(filled.sum() - usable.sum())


def _first(which: Bool[np.ndarray, "rows"]) -> list[int]:
    return [int(i) for i in np.flatnonzero(which)[:MOST_NAMED]]


def _is_well_formed(lines: pa.Array, columns: np.ndarray) -> Bool[np.ndarray, "rows"]:
    """Return which lines have matching quotes, three faces, a type, and pairs after it."""
    quoted = pc.match_substring_regex(lines, LINE).to_numpy(zero_copy_only=False)
    paired = (columns >= FEWEST_COLUMNS) & (columns <= len(COLUMNS)) & (columns % 2 == 0)
    return np.asarray(quoted & paired)


def _malformed_line(line: int, text: str) -> Fault:
    reason = "quotes don't match or the number of columns is wrong"
    return Fault(line=line, reason=reason, value=text[:MOST_LETTERS])


def _pad(lines: pa.Array, columns: pa.Array) -> pa.Array:
    """Return the lines with all columns; those of missing annotators are empty."""
    commas = pc.binary_repeat(",", pc.subtract(len(COLUMNS), columns))
    return pc.binary_join_element_wise(lines, commas, "")


def _split_cells(lines: pa.Array) -> pa.Table:
    """Return well-formed lines with all columns as a table of text, COLUMNS."""
    if not len(lines):
        return pa.table({column: pa.array([], pa.string()) for column in COLUMNS})
    content = "\n".join(lines.to_pylist()).encode()
    table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(
            column_names=list(COLUMNS), block_size=len(content) + 1, use_threads=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(COLUMNS, pa.string())
        ),
    )
    columns = {name: pc.utf8_trim_whitespace(table[name]) for name in COLUMNS}
    for name in (f"{what}_{j}" for j in ANNOTATORS for what in ("annotator", "answer")):
        whole = pc.replace_substring_regex(columns[name], SAVED_NUMBER, r"\1")
        columns[name] = pc.replace_substring_regex(whole, "^(?i:nan)$", "")
    return pa.table(columns).combine_chunks()


def _convert(cells: pa.Table) -> pa.Table:
    """Return usable rows with the types of `FecCsv.table`."""
    columns = {}
    for name in COLUMNS:
        what = name.split("_")[0]
        if what in EDGES:
            columns[name] = _to_numbers(cells[name])
        elif what == "answer":
            columns[name] = pc.if_else(pc.equal(cells[name], ""), "0", cells[name]).cast(pa.int8())
        else:
            columns[name] = cells[name].dictionary_encode()
    return pa.table(columns)


def _to_numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    known = pc.match_substring_regex(texts, NUMBER)
    return pc.if_else(known, texts, "nan").cast(pa.float64())


def _first_reasons(cells: pa.Table) -> np.ndarray:
    """Return the first fault of each row; an empty string if there is none."""
    reasons = np.full(len(cells), "", object)
    for reason, wrong in _checks(cells):
        reasons[wrong & (reasons == "")] = reason
    return reasons


def _checks(cells: pa.Table) -> Iterator[tuple[str, Bool[np.ndarray, "rows"]]]:
    """Yield each reason why a row can't be used, and the rows that it applies to."""
    boxes = {i: _box(cells, i) for i in PLACES}
    for i in PLACES:
        yield f"url_{i} isn't an http or https address", ~_matches(cells[f"url_{i}"], ADDRESS)
        yield f"box_{i} isn't left < right, top < bottom in [0, 1]", ~_is_box(boxes[i])
    for i, j in ((1, 2), (1, 3), (2, 3)):
        same = pc.equal(cells[f"url_{i}"], cells[f"url_{j}"]).to_numpy(zero_copy_only=False)
        yield f"url_{i} is the same face as url_{j}", same & (boxes[i] == boxes[j]).all(1)
    yield "type is unknown", ~_matches(cells["type"], f"^(?:{'|'.join(TYPES)})$")
    named = {j: _matches(cells[f"annotator_{j}"], "[^ ]") for j in ANNOTATORS}
    for j in ANNOTATORS:
        valid = _matches(cells[f"answer_{j}"], "^[123]$")
        empty = ~named[j] & ~_matches(cells[f"answer_{j}"], "[^ ]")
        yield f"answer_{j} isn't 1, 2 or 3 by a named annotator", ~(empty | named[j] & valid)
    yield "annotator_1 and all others are missing", ~np.any(list(named.values()), axis=0)


def _matches(texts: pa.ChunkedArray, pattern: str) -> Bool[np.ndarray, "rows"]:
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=bool)


def _box(cells: pa.Table, place: int) -> Float[np.ndarray, "rows 4"]:
    return np.column_stack([_to_numbers(cells[f"{edge}_{place}"]).to_numpy() for edge in EDGES])


def _is_box(box: Float[np.ndarray, "rows 4"]) -> Bool[np.ndarray, "rows"]:
    left, right, top, bottom = box.T
    horizontal = (left >= 0) & (left < right) & (right <= 1)
    return np.asarray(horizontal & (top >= 0) & (top < bottom) & (bottom <= 1))


def _wrong_cell(row: pa.Table, line: int, reason: str) -> Fault:
    """Return a fault with the value of the column or box that its reason names first."""
    column = reason.split()[0]
    names = [f"{edge}_{column[-1]}" for edge in EDGES] if column.startswith("box") else [column]
    value = ", ".join(row[name][0].as_py() for name in names)
    return Fault(line=line, reason=reason, value=value[:MOST_LETTERS])


def stack_columns(table: pa.Table, columns: list[str]) -> pd.Categorical:
    """Return dictionary columns as one column, the second below the first and so on."""
    chunks = [chunk for column in columns for chunk in table[column].chunks]
    stacked = pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.string()))
    joined = stacked.unify_dictionaries().combine_chunks()
    return pd.Categorical(joined.to_pandas())
