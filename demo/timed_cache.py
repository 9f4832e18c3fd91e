"""Values in memory, for a limited time and of limited size."""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import TTLCache

from demo.visitor_files import SWEEP_SECONDS

Value = TypeVar("Value")


class TimedCache(Generic[Value]):
    """Values by the digest of what they were made from. Threads may share it.

    Args:
        most_bytes: How much the values may take together; the least recently used go first, and one
            that is larger is not kept.
        kept_seconds: How long a value stays at most, also if it is used.
        size_bytes: Returns how much a value takes.
    """

    def __init__(
        self, most_bytes: int, kept_seconds: int | float, size_bytes: Callable[[Value], int]
    ) -> None:
        self._kept_seconds = kept_seconds
        self._size_bytes = size_bytes
        self._values: TTLCache[bytes, Value] = TTLCache(
            most_bytes, kept_seconds, time.monotonic, size_bytes
        )
        self._guard = threading.Lock()
        self._expiry: threading.Timer | None = None

    @property
    def kept_bytes(self) -> int:
        """How much the values take."""
        with self._guard:
            return int(self._values.currsize)

    def get(self, digest: bytes) -> Value | None:
        """Return a value; None where it isn't there, or not any more."""
        with self._guard:
            return self._values.get(digest)

    def add(self, digest: bytes, value: Value) -> None:
        """Keep a value from now on."""
        with self._guard:
            if self._size_bytes(value) <= self._values.maxsize:
                self._values[digest] = value
            self._expire_later()

    def _expire_later(self) -> None:
        """Remove values when their time is over, also if no other value comes."""
        if self._expiry is None and self._values:
            pause = min(SWEEP_SECONDS, self._kept_seconds)
            self._expiry = threading.Timer(pause, _expire, [weakref.ref(self)])
            self._expiry.daemon = True
            self._expiry.start()

    def expire(self) -> None:
        """Remove the values whose time is over."""
        with self._guard:
            self._values.expire()
            self._expiry = None
            self._expire_later()


def _expire(cache: "weakref.ref[TimedCache[object]]") -> None:
    """Remove values of a cache that somebody still uses; one that nobody uses is gone already."""
    if (used := cache()) is not None:
        used.expire()
