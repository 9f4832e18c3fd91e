"""The page's search of a table of faces that `embed` wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.answers import Embedding
from demo.embedding_table import file_name
from demo.photo_files import PhotoFile, photo_at
from demo.predictors import ModelProvider
from demo.search.background_search import BackgroundSearch, NotReady
from demo.search.face_collection import FaceCollection, FoundFace
from demo.search.face_rows import require_version
from demo.search.matches import Match
from demo.search.table_index import updated
from demo.search.tables import IndexFailed
from registry.catalog import DLN

BEING_INDEXED = "The faces are being indexed; try again soon."
MOST_CHOICES = 1000
"""So many values of a label are offered; others can be typed."""


class TableSearch(BackgroundSearch):
    """Searches one table, and shows the faces' photos, which have to be where `embed` read them.

    Args:
        table: The Parquet file.
        server: The version of the dln that answers.
    """

    knows_people = False

    def __init__(self, table: Path, server: ModelProvider) -> None:
        super().__init__(table, server)
        self._searched: tuple[FaceCollection, int] | None = None
        """The faces, and of which version of the dln their vectors are."""
        self._faces = 0
        self._updating = False
        self._choices: Mapping[str, Sequence[str]] = {}

    def status(self) -> str:
        """Return in a sentence or two what can be searched now, and what can't."""
        if self._searched is None:
            return self.problem or BEING_INDEXED
        sentence = f"{self._faces:,} faces can be searched."
        return f"{sentence} {self.problem}" if self.problem else sentence

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return the labels by which faces can be chosen, and their values."""
        return self._choices

    def name_of(self, photo: PhotoFile) -> str:
        """Return the name of a photo's file, without its folders."""
        return Path(photo.member or photo.path).name

    def matches(
        self, face: Embedding, count: int, *, others_first: bool, filters: Mapping[str, str]
    ) -> list[Match]:
        """Return the faces nearest in expression; see `find`. Others can't come first."""
        assert not others_first
        collection, version = self._searched or (None, None)
        if collection is None or version != face.provenance.version:
            raise NotReady(self.problem or BEING_INDEXED)
        try:
            found = collection.nearest(face.expression, count, filters)
        except IndexFailed:
            if self._updating:  # a table whose rows were changed is written again
                raise NotReady(BEING_INDEXED) from None
            raise
        if self._updating and not found:
            raise NotReady(BEING_INDEXED)
        return [self._match(each) for each in found]

    def update(self) -> None:
        """Add the rows that are new; build the index where it is due."""
        number = self.server.model(DLN.name).version.number
        require_version(self.place, number)
        self._updating = True
        try:
            collection = updated(self.place)
        finally:
            self._updating = False
        values = {name: collection.values(name, MOST_CHOICES) for name in collection.columns}
        self._choices = {name: found for name, found in values.items() if found}
        self._faces = collection.count()
        self._searched = collection, number

    def _match(self, found: FoundFace) -> Match:
        return Match(
            photo=photo_at(file_name(found.file), self.place.parent),
            copies=(),
            face=found.face,
            box=found.box,
            distance=found.distance,
            identity_distance=None,
            labels=found.labels,
        )
