"""Rows of FEC's CSV files: three faces, their type, and which one each annotator finds odd.

A row is a line; quotes end with it, so that a stray one spoils no other row. Blank lines are none.
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
"""Of a face in its triplet."""
EDGES = ("left", "right", "top", "bottom")
"""Of a face's box, in fractions of the photo's width and height."""
RATERS = range(1, 7)
COLUMNS = (
    *(f"{what}_{i}" for i in PLACES for what in ("url", *EDGES)),
    "type",
    *(f"{what}_{j}" for j in RATERS for what in ("annotator", "answer")),
)
FEWEST = COLUMNS.index("answer_1") + 1
"""Columns of a row with a single annotator."""
ADDRESS = r"^(?i:https?)://[^/?#@\s\x00-\x20]+(?:[/?#][^\s\x00-\x20]*)?$"
NUMBER = r"^(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,2})?$"
QUOTED = r'"[^"\r]*"'
CELL = f'(?:{QUOTED}|[^",\r]*)'
LINE = f"^{CELL}(?:,{CELL})*$"
BLOCK_BYTES = 1 << 24
NAMED = 20
"""Faults that are told one by one; of the rest their number is."""
LONGEST_SHOWN = 80


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A row that can't be used."""

    line: int
    why: str
    value: str


@dataclass(frozen=True, kw_only=True)
class FecCsv:
    """A CSV file's usable rows, and the first of those that aren't.

    `table` has COLUMNS: addresses, types and annotators as dictionaries, edges as float64, answers
    as int8, 0 where there is none.
    """

    name: str
    table: pa.Table
    dropped: int
    faults: list[Fault]

    @property
    def notes(self) -> list[str]:
        """Say how many rows there are and which ones were dropped."""
        whole = f"{self.name}: {len(self.table) + self.dropped:,} rows, {self.dropped:,} dropped."
        named = [f"{self.name}, line {f.line:,}: {f.why}: {f.value!r}." for f in self.faults]
        more = self.dropped - len(self.faults)
        return [whole, *named, *([f"{self.name}: and {more:,} rows more."] if more else [])]


def parse(name: str, file: BufferedIOBase) -> FecCsv:
    """Return the rows of a CSV file called `name`, read block by block."""
    tables: list[pa.Table] = [_typed(_cells(pa.array([], pa.string())))]
    faults: list[Fault] = []
    dropped, line = 0, 1
    for text in _blocks(file):
        lines = pa.array(text.split("\n"))
        table, found, bad = _rows(lines, line)
        tables.append(table)
        faults = [*faults, *found][:NAMED]
        dropped, line = dropped + bad, line + len(lines) - 1
    table = pa.concat_tables(tables).unify_dictionaries()
    return FecCsv(name=name, table=table, dropped=dropped, faults=faults)


def _blocks(file: BufferedIOBase) -> Iterator[str]:
    """Yield some MB of whole lines at a time."""
    for number in count():
        block = file.read(BLOCK_BYTES)
        if not block:
            return
        text = (block + file.readline()).decode("utf-8", "replace")
        yield text if number else text.removeprefix("\ufeff")


def _rows(lines: pa.Array, first: int) -> tuple[pa.Table, list[Fault], int]:
    """Return the usable rows, the first faults in order, and the number of all faults."""
    numbers = np.arange(first, first + len(lines))
    lines = pc.utf8_rtrim(lines, "\r")
    filled = pc.not_equal(pc.utf8_trim_whitespace(lines), "").to_numpy(zero_copy_only=False)
    columns = pc.add(pc.count_substring(pc.replace_substring_regex(lines, QUOTED, ""), ","), 1)
    shaped = filled & _shaped(lines, columns.to_numpy())
    torn = [_torn(int(numbers[i]), lines[i].as_py()) for i in _some(filled & ~shaped)]
    cells = _cells(_padded(lines.filter(shaped), columns.filter(shaped)))
    why = _judged(cells)
    usable = why == ""
    wrong = [_fault(cells.slice(i, 1), int(numbers[shaped][i]), why[i]) for i in _some(~usable)]
    faults = sorted([*torn, *wrong], key=lambda fault: fault.line)
    return _typed(cells.filter(pa.array(usable))), faults, int(filled.sum() - usable.sum())


def _some(which: Bool[np.ndarray, "rows"]) -> list[int]:
    return [int(i) for i in np.flatnonzero(which)[:NAMED]]


def _shaped(lines: pa.Array, columns: np.ndarray) -> Bool[np.ndarray, "rows"]:
    """Tell the lines whose quotes match and that have three faces, a type, and pairs after it."""
    whole = pc.match_substring_regex(lines, LINE).to_numpy(zero_copy_only=False)
    paired = (columns >= FEWEST) & (columns <= len(COLUMNS)) & (columns % 2 == 0)
    return np.asarray(whole & paired)


def _torn(line: int, text: str) -> Fault:
    why = "quotes don't match or the number of columns is wrong"
    return Fault(line=line, why=why, value=text[:LONGEST_SHOWN])


def _padded(lines: pa.Array, columns: pa.Array) -> pa.Array:
    """Give every line all columns, empty ones where there are fewer annotators."""
    commas = pc.binary_repeat(",", pc.subtract(len(COLUMNS), columns))
    return pc.binary_join_element_wise(lines, commas, "")


def _cells(lines: pa.Array) -> pa.Table:
    """Return lines of equal shape as COLUMNS of text."""
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
    trimmed = [pc.utf8_trim_whitespace(column) for column in table.columns]
    return pa.table(trimmed, names=list(COLUMNS)).combine_chunks()


def _typed(cells: pa.Table) -> pa.Table:
    columns = {}
    for name in COLUMNS:
        what = name.split("_")[0]
        if what in EDGES:
            columns[name] = _numbers(cells[name])
        elif what == "answer":
            columns[name] = pc.if_else(pc.equal(cells[name], ""), "0", cells[name]).cast(pa.int8())
        else:
            columns[name] = cells[name].dictionary_encode()
    return pa.table(columns)


def _numbers(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    known = pc.match_substring_regex(texts, NUMBER)
    return pc.if_else(known, texts, "nan").cast(pa.float64())


def _judged(cells: pa.Table) -> np.ndarray:
    """Return what is wrong with each row first; empty where nothing is."""
    why = np.full(len(cells), "", object)
    for words, bad in _checks(cells):
        why[bad & (why == "")] = words
    return why


def _checks(cells: pa.Table) -> Iterator[tuple[str, Bool[np.ndarray, "rows"]]]:
    boxes = {i: _box(cells, i) for i in PLACES}
    for i in PLACES:
        yield f"url_{i} is no http or https address", ~_matches(cells[f"url_{i}"], ADDRESS)
        yield f"box_{i} isn't left < right, top < bottom in [0, 1]", ~_proper(boxes[i])
    for i, j in ((1, 2), (1, 3), (2, 3)):
        same = pc.equal(cells[f"url_{i}"], cells[f"url_{j}"]).to_numpy(zero_copy_only=False)
        yield f"url_{i} shows the same face twice", same & (boxes[i] == boxes[j]).all(1)
    yield "type is unknown", ~_matches(cells["type"], f"^(?:{'|'.join(TYPES)})$")
    asked = {j: _matches(cells[f"annotator_{j}"], "[^ ]") for j in RATERS}
    for j in RATERS:
        said = _matches(cells[f"answer_{j}"], "^[123]$")
        empty = ~asked[j] & ~_matches(cells[f"answer_{j}"], "[^ ]")
        yield f"answer_{j} isn't an annotator's 1, 2 or 3", ~(empty | asked[j] & said)
    yield "annotator_1 and all others are missing", ~np.any(list(asked.values()), axis=0)


def _matches(texts: pa.ChunkedArray, pattern: str) -> Bool[np.ndarray, "rows"]:
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=bool)


def _box(cells: pa.Table, place: int) -> Float[np.ndarray, "rows 4"]:
    return np.column_stack([_numbers(cells[f"{edge}_{place}"]).to_numpy() for edge in EDGES])


def _proper(box: Float[np.ndarray, "rows 4"]) -> Bool[np.ndarray, "rows"]:
    left, right, top, bottom = box.T
    proper = (left >= 0) & (left < right) & (right <= 1) & (top >= 0) & (top < bottom)
    return np.asarray(proper & (bottom <= 1))


def _fault(row: pa.Table, line: int, why: str) -> Fault:
    """Describe a fault by the value of the column, or box, that its sentence begins with."""
    said = why.split()[0]
    names = [f"{edge}_{said[-1]}" for edge in EDGES] if said.startswith("box") else [said]
    value = ", ".join(row[name][0].as_py() for name in names)
    return Fault(line=line, why=why, value=value[:LONGEST_SHOWN])


def strings(table: pa.Table, columns: list[str]) -> pd.Categorical:
    """Return dictionary columns below each other as one."""
    chunks = [chunk for column in columns for chunk in table[column].chunks]
    whole = pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.string()))
    joined = whole.unify_dictionaries().combine_chunks()
    return pd.Categorical(joined.to_pandas())
