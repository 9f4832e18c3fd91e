"""Outputs for faces that were asked about before, kept in memory as long as visitors' files."""

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from demo.timed_cache import TimedCache
from demo.visitor_files import LIFETIME_SECONDS

Row = Mapping[str, np.ndarray]
"""The outputs for one face."""


class CachedOutputs(dict[str, np.ndarray]):
    """Outputs of which none had to be computed."""


class CachedFunction:
    """A function of arrays with one row a face that remembers the rows it returned last.

    A row is found again by the content of its inputs. Threads share it.

    Args:
        compute: Takes one array or several with as many rows, and returns arrays of as many rows,
            each depending on its own row alone.
        most_bytes: How much the remembered rows may take together; the least recently used go
            first.
        kept_seconds: How long a row is remembered at most.
    """

    def __init__(
        self,
        compute: Callable[..., Mapping[str, np.ndarray]],
        most_bytes: int,
        kept_seconds: int | float = LIFETIME_SECONDS,
    ) -> None:
        self._compute = compute
        self._rows = TimedCache[Row](most_bytes, kept_seconds, _size_bytes)

    @property
    def kept_bytes(self) -> int:
        """How much the remembered rows take."""
        return self._rows.kept_bytes

    def __call__(self, *inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        """Return the outputs for these inputs, as CachedOutputs where none was computed.

        Raises as `compute`.
        """
        keys = [_digest(*rows) for rows in zip(*inputs, strict=True)]
        found = {key: row for key in keys if (row := self._rows.get(key)) is not None}
        missing = [index for index, key in enumerate(keys) if key not in found]
        if len(missing) == len(keys):
            outputs = self._compute(*inputs)
            self._add(keys, outputs)
            return outputs
        if missing:
            outputs = self._compute(*(each[missing] for each in inputs))
            found |= self._add([keys[index] for index in missing], outputs)
        rows = [found[key] for key in keys]
        joined = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return joined if missing else CachedOutputs(joined)

    def _add(self, keys: Sequence[bytes], outputs: Mapping[str, np.ndarray]) -> dict[bytes, Row]:
        """Remember the rows of outputs, and return them."""
        rows: dict[bytes, Row] = {
            key: {name: values[index].copy() for name, values in outputs.items()}
            for index, key in enumerate(keys)
        }
        for key, row in rows.items():
            self._rows.add(key, row)
        return rows


def _digest(*arrays: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _size_bytes(row: Row) -> int:
    return sum(sys.getsizeof(values) + values.nbytes for values in row.values())
