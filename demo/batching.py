"""Requests that wait for the same version are computed together, as one batch."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from demo.output_cache import CachedFunction

if TYPE_CHECKING:
    from demo.loaded_model import Model
    from registry.entries import Version

Arrays = tuple[np.ndarray, ...]
Outputs = Mapping[str, np.ndarray]
Compute = Callable[..., Outputs]
ObserveCall = Callable[[str, float | None], None]
"""Takes a model's name and the seconds of a call; None for one that failed."""
MOST_FACES = 16
"""Faces of one batch at most, unless a single request has more."""


@dataclass(eq=False)
class _Request:
    """What one caller wants computed; `ready` is set when it is done, or when its turn has come."""

    inputs: Arrays
    ready: threading.Event = field(default_factory=threading.Event)
    outputs: Outputs | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.outputs is not None or self.error is not None

    def fits(self, other: "_Request") -> bool:
        """Return whether both can be rows of one batch."""
        return [(each.shape[1:], each.dtype) for each in self.inputs] == [
            (each.shape[1:], each.dtype) for each in other.inputs
        ]


class BatchedFunction:
    """A function of arrays with one row a face, called for one batch at a time. Threads share it.

    A call that comes alone is computed at once. Calls that come meanwhile wait, and are computed
    together when that one is done. Where a batch fails, each of its requests is computed alone, so
    that only those fail that are at fault.

    Args:
        compute: Takes one array or several with as many rows, and returns arrays of as many rows.
    """

    def __init__(self, compute: Callable[..., Outputs]) -> None:
        self._compute = compute
        self._guard = threading.Lock()
        self._waiting: list[_Request] = []
        self._is_busy = False

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        with self._guard:
            return len(self._waiting)

    def __call__(self, *inputs: np.ndarray) -> Outputs:
        """Return the outputs for these inputs; raises as `compute`."""
        request = _Request(inputs)
        with self._guard:
            self._waiting.append(request)
            is_first, self._is_busy = not self._is_busy, True
        if not is_first:
            request.ready.wait()
        if not request.is_done:
            self._compute_with_others(request)
        if request.error is not None:
            raise request.error
        assert request.outputs is not None
        return request.outputs

    def _compute_with_others(self, request: _Request) -> None:
        """Compute a request and those that wait and fit, then let the next one compute."""
        with self._guard:
            batch = self._take(request)
        try:
            self._answer(batch)
        finally:
            with self._guard:
                following = self._waiting[0] if self._waiting else None
                self._is_busy = following is not None
            for each in batch[1:]:
                each.ready.set()
            if following is not None:
                following.ready.set()

    def _take(self, first: _Request) -> list[_Request]:
        """Remove a request and those that fit it from the waiting ones, and return them."""
        batch, faces = [first], len(first.inputs[0])
        for other in self._waiting:
            count = len(other.inputs[0])
            if other is not first and other.fits(first) and faces + count <= MOST_FACES:
                batch.append(other)
                faces += count
        self._waiting = [each for each in self._waiting if each not in batch]
        return batch

    def _answer(self, batch: Sequence[_Request]) -> None:
        """Set the outputs of all requests, or the errors of those that fail alone, too."""
        try:
            columns = zip(*(request.inputs for request in batch), strict=True)
            outputs = self._compute(*(_joined(column) for column in columns))
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:
                self._answer([request])
            return
        for request, rows in zip(batch, _rows(batch), strict=True):
            request.outputs = {name: values[rows] for name, values in outputs.items()}


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _rows(batch: Sequence[_Request]) -> Iterator[slice]:
    """Yield where the rows of each request are in the batch."""
    start = 0
    for request in batch:
        stop = start + len(request.inputs[0])
        yield slice(start, stop)
        start = stop


class BatchedModel:
    """A loaded version that computes what several threads ask for at once as one batch.

    Args:
        model: The version, which no other version ever replaces here.
        cache_bytes: How much remembered outputs of each of its graphs may take in memory; 0: all
            are computed.
        observe: Takes note of each call; of none by default.
    """

    def __init__(
        self, model: "Model", cache_bytes: int = 0, observe: ObserveCall | None = None
    ) -> None:
        self.version: Version = model.version
        """The version that answers, with its tags as the registry had them last."""
        self.device = model.device
        """Where it computes: cpu, cuda or mps."""
        self.engine = model.engine
        """What computes it, "onnxruntime" or "torch" for example."""
        self._observe = observe
        self._outputs: Compute = BatchedFunction(model)
        self._encoder_outputs: Compute = BatchedFunction(model.encode)
        if cache_bytes:
            self._outputs = CachedFunction(self._outputs, cache_bytes)
            self._encoder_outputs = CachedFunction(self._encoder_outputs, cache_bytes)

    def __call__(self, faces: np.ndarray, change: np.ndarray | None = None) -> Outputs:
        """Return the outputs, as the model does."""
        return self._observed(self._outputs, faces, *(() if change is None else (change,)))

    def encode(self, faces: np.ndarray) -> Outputs:
        """Return the outputs of the encoder, as the model does."""
        return self._observed(self._encoder_outputs, faces)

    def _observed(self, compute: Compute, *inputs: np.ndarray) -> Outputs:
        if self._observe is None:
            return compute(*inputs)
        started, seconds = time.perf_counter(), None
        try:
            outputs = compute(*inputs)
            seconds = time.perf_counter() - started
        finally:
            self._observe(self.version.name, seconds)
        return outputs
