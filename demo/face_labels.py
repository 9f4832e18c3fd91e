"""Person, emotion and set of faces, as the index of a prepared data set gives them."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from demo.photo_files import PhotoFile, StoredPhoto
from registry.catalog import EMOTIONS

logger = logging.getLogger(__name__)

LABELS = ("person", "emotion", "set")
"""By what faces can be chosen: columns of a table of faces."""
INDEX = "index.parquet"
LEVELS = 4
"""In so many folders above a crop its set's index is looked for."""
Labels = Mapping[str, str]
NO_LABELS: Labels = {}


class FaceLabels:
    """What the prepared sets on this machine give of their crops; each index is read once."""

    def __init__(self) -> None:
        self._places: dict[Path, Path | None] = {}
        self._read: dict[Path, Mapping[str, Labels]] = {}

    def of(self, photo: PhotoFile) -> Labels:
        """Return those of LABELS that are known of a photo; none if it is of no prepared set."""
        if photo.member is not None or isinstance(photo, StoredPhoto):
            return NO_LABELS
        folder = photo.path.parent
        if folder not in self._places:
            above = (folder, *folder.absolute().parents)[:LEVELS]
            self._places[folder] = next((each for each in above if (each / INDEX).is_file()), None)
        place = self._places[folder]
        if place is None:
            return NO_LABELS
        if place not in self._read:
            self._read[place] = _labels(place / INDEX)
        inside = photo.path.absolute().relative_to(place.absolute()).as_posix()
        return self._read[place].get(inside, NO_LABELS)

    def values(self, photos: Iterable[PhotoFile]) -> dict[str, list[str]]:
        """Return the values that photos have of each of LABELS, sorted; only those with any."""
        found: dict[str, set[str]] = {name: set() for name in LABELS}
        for photo in photos:
            for name, value in self.of(photo).items():
                found[name].add(value)
        return {name: sorted(values) for name, values in found.items() if values}


def _labels(index: Path) -> dict[str, Labels]:
    """Return the labels of each face of a prepared set by its path inside; none if it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(index)
        of_set = (schema.metadata or {}).get(b"set", b"").decode(errors="replace")
        names = [name for name in ("path", "person", "emotion") if name in schema.names]
        if not of_set or "path" not in names:
            return {}
        rows = pq.read_table(index, columns=names).to_pylist()
    except (OSError, pa.ArrowException):
        logger.warning("%s can't be read; its faces have no labels.", index, exc_info=True)
        return {}
    return {str(row["path"]): _labels_of(row, of_set) for row in rows}


def _labels_of(row: Mapping[str, Any], of_set: str) -> Labels:
    number = row.get("emotion")
    emotion = dict(enumerate(EMOTIONS)).get(number) if isinstance(number, int) else None
    labels = {"person": row.get("person"), "emotion": emotion, "set": of_set}
    return {name: str(value) for name, value in labels.items() if value is not None}
