"""When LanceDB indexes a column of vectors, and how such a table is searched.

Below INDEXED_FROM rows all are compared. From there on the index is IVF-PQ: Jégou, Douze, Schmid,
Product Quantization for Nearest Neighbor Search, 2011. Measured by benchmarks/vector_search.py.
HNSW was no faster at a million vectors of 16 numbers, took twelve times as long to build and four
times the memory.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import numpy as np
from jaxtyping import Float

INDEXED_FROM = 200_000
"""From so many rows on there is an index: to compare all takes longer than 10 ms."""
PROBES = 128
"""How many of the index's partitions a search looks into, of a thousand at a million rows."""
REFINE = 4
"""So many times the faces wanted are compared again by their exact vectors."""
COMPARED_BELOW = 20_000
"""Where a filter leaves fewer rows than this, all of them are compared."""
BUILT_WITHIN = timedelta(hours=24)

Vector = Float[np.ndarray, "_"]


Building = Callable[[str], AbstractContextManager[None]]
"""Reports, as a context, that what a sentence says is being done."""
BUILDS = (
    "Builds the index of {rows:,} faces in {partitions:,} partitions; Ctrl-C stops it without "
    "harm: the next search builds it again."
)
ADDS = (
    "Adds {rows:,} faces to the index; Ctrl-C stops it without harm: the next search adds them "
    "again."
)


def quietly(_sentence: str) -> AbstractContextManager[None]:
    """Report nothing."""
    return nullcontext()


def has_index(table: Any, column: str) -> bool:
    """Return whether a column of LanceDB's table has an index."""
    return any(index.columns == [column] for index in table.list_indices())


def refresh_index(
    table: Any, column: str, indexed_from: int = INDEXED_FROM, building: Building = quietly
) -> None:
    """Build the index of a column where it is due, or add the rows that it lacks.

    Args:
        table: LanceDB's table.
        column: Its column of vectors.
        indexed_from: From how many rows on a table has an index.
        building: Reports what is done; an index that is stopped meanwhile is not there.
    """
    from lancedb.index import IvfPq

    rows = table.count_rows()
    index = next((each for each in table.list_indices() if each.columns == [column]), None)
    if index is not None:
        left = index.num_unindexed_rows or 0
        with building(ADDS.format(rows=left)) if left else nullcontext():
            table.optimize()
    elif rows >= indexed_from:
        dims = table.schema.field(column).type.list_size  # one byte for each number of a vector
        config = IvfPq(num_partitions=math.isqrt(rows), num_sub_vectors=dims)
        with building(BUILDS.format(rows=rows, partitions=config.num_partitions)):
            table.create_index(column, config=config, wait_timeout=BUILT_WITHIN)


def search_near(table: Any, column: str, vector: Vector, filtered: str = "") -> Any:
    """Return LanceDB's query for the rows nearest to a vector, by Euclidean distance.

    Args:
        table: LanceDB's table.
        column: Its column of vectors.
        vector: As long as those.
        filtered: A condition in SQL; only rows that meet it are found. Empty: all.
    """
    wanted = np.asarray(vector, np.float32)
    query = table.search(wanted, vector_column_name=column).distance_type("l2")
    query = query.nprobes(PROBES).refine_factor(REFINE)
    if not filtered:
        return query
    query = query.where(filtered, prefilter=True)
    few = has_index(table, column) and table.count_rows(filtered) < COMPARED_BELOW
    return query.bypass_vector_index() if few else query
