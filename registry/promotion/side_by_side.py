"""Time and size of two versions, measured side by side on this machine."""

import logging
import statistics
import time
from collections.abc import Callable

import numpy as np

from registry import entries, store, versions
from registry.entries import Version
from registry.errors import BadVersion, first_line

WARM_UP, REPEATS = 3, 30
DEVICE = "cpu"
logger = logging.getLogger(__name__)


def fault(version: Version) -> str:
    """Return why a version can't answer on this machine's CPU; empty if it can."""
    try:
        _answer(version)()
    except Exception as error:
        logger.info("%s can't answer.", version.title, exc_info=error)
        return first_line(error)
    return ""


def latencies_ms(candidate: Version, other: Version) -> tuple[float, float]:
    """Return the milliseconds of one face of two versions on this machine's CPU.

    They answer in turn, 30 times each, so that what else the machine does delays both alike;
    medians.

    Raises:
        BadVersion: one of them can't be loaded.
    """
    asked = [_answer(version) for version in (candidate, other)]
    times: list[list[float]] = [[], []]
    for repeat in range(WARM_UP + REPEATS):
        for answer, of_version in zip(asked, times, strict=True):
            start = time.perf_counter()
            answer()
            if repeat >= WARM_UP:
                of_version.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[0]), statistics.median(times[1])


def sizes_mb(candidate: Version, other: Version) -> tuple[float, float]:
    """Return the sizes of the weights of two versions, in megabytes: the largest of their formats.

    Raises:
        BadVersion: the files of one are gone.
    """
    return _size_mb(candidate), _size_mb(other)


def _size_mb(version: Version) -> float:
    with store.answering(), entries.files(version) as folder:
        by_format: dict[str, int] = {}
        for path in folder.rglob("*"):
            if path.is_file():
                by_format[path.suffix] = by_format.get(path.suffix, 0) + path.stat().st_size
    if not by_format:
        raise BadVersion(f"{version.title} has no files.")
    return max(by_format.values()) / 1e6


def _answer(version: Version) -> Callable[[], object]:
    """Return a function that lets a version answer about one face of noise."""
    model, size = versions.load(version, DEVICE), version.crop.size_px
    face = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
    if not version.encoder:
        return lambda: model(face)
    change = np.zeros((1, version.condition), dtype=np.float32)

    def transfer() -> object:
        model.encode(face)
        return model(face, change)

    return transfer
