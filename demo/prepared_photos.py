"""The faces of prepared data sets on this machine, by set and name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from demo.access import BadSetting
from registry.errors import first_line

INDEX = "index.parquet"
NAME_ONE = "name a folder that `python -m training prepare` wrote"
SIDE_PX = 320
"""Side of a face as it is shown."""


class PreparedPhotos:
    """The faces of some prepared folders; nothing else of this machine can be read by it.

    Args:
        folders: What `python -m training prepare` wrote. Of two sets of one name, the first counts.

    Raises:
        BadSetting: A folder holds no prepared set.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders: dict[str, Path] = {}
        for folder in folders:
            self._folders.setdefault(_name_of(folder), folder.resolve())
        self._files: dict[str, Mapping[str, str]] = {}

    def read(self, name_of_set: str, name: str) -> UInt8[np.ndarray, "h w 3"] | None:
        """Return a face, at most SIDE_PX a side; None where it isn't here or can't be read.

        Args:
            name_of_set: The set's name.
            name: The face's name in the index of its set.
        """
        from PIL import Image

        folder = self._folders.get(name_of_set)
        if folder is None:
            return None
        try:
            path = (folder / self._index(name_of_set)[name]).resolve(strict=True)
            if not path.is_relative_to(folder):
                return None
            with Image.open(path, formats=("JPEG", "PNG")) as picture:
                picture.thumbnail((SIDE_PX, SIDE_PX))
                return np.asarray(picture.convert("RGB"))
        except (OSError, KeyError, ValueError, Image.DecompressionBombError):
            return None

    def _index(self, name_of_set: str) -> Mapping[str, str]:
        """Return the file of each face by name, read when a face is first asked for."""
        import pyarrow.parquet as pq

        if name_of_set not in self._files:
            path = self._folders[name_of_set] / INDEX
            table = pq.read_table(path, columns=["name", "path"])
            names, files = (table[column].to_pylist() for column in ("name", "path"))
            self._files[name_of_set] = dict(zip(names, files, strict=True))
        return self._files[name_of_set]


def _name_of(folder: Path) -> str:
    """Return the name of the set in a prepared folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (folder / INDEX).is_file():
        raise BadSetting(f"{folder} holds no prepared data set: {NAME_ONE}")
    try:
        schema = pq.read_schema(folder / INDEX)
    except (pa.ArrowException, OSError) as error:
        raise BadSetting(f"{folder / INDEX} is broken ({first_line(error)}): {NAME_ONE}") from error
    name = str((schema.metadata or {}).get(b"set", b"").decode(errors="replace"))
    if not name or not {"name", "path"} <= set(schema.names):
        raise BadSetting(f"{folder / INDEX} is no index of faces: {NAME_ONE}")
    return name
