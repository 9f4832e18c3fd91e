"""SHA-256 digests of a version's graphs: taken when they are stored, compared when they are loaded.

A file that was cut off or changed on its disk may still be a graph that computes something.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from registry.errors import GraphError
from registry.graphs.file_names import ENCODER, GRAPH, ONNX_ENCODER, ONNX_GRAPH, WEIGHTS

FILES = (GRAPH, ENCODER, ONNX_GRAPH, ONNX_ENCODER, WEIGHTS)
"""The files whose digests a version carries."""


def of(folder: Path) -> dict[str, str]:
    """Return the digest of each of FILES that is in a folder, in hexadecimal digits."""
    return {name: _digest(folder / name) for name in FILES if (folder / name).is_file()}


def check(folder: Path, digests: Mapping[str, str], files: Iterable[str]) -> None:
    """Compare files with their digests; one without a digest, or that isn't there, is passed over.

    Args:
        folder: the folder of a version.
        digests: what `of` returned when the version was stored; none for versions of older code.
        files: their names, some of FILES.

    Raises:
        GraphError: the content of a file is not what was stored.
    """
    for name in files:
        path = folder / name
        if name in digests and path.is_file() and _digest(path) != digests[name]:
            raise GraphError(f"{path.name} was changed after it was registered (its SHA-256 shows)")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
