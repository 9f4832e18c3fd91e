"""The page's search of a folder or zip of photos."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.answers import Embedding
from demo.argument_checks import is_folder_or_zip
from demo.loaded_model import Model
from demo.photo_files import PhotoFile, expand
from demo.predictors import ModelProvider, TripletComparer, read_photo_with_faces
from demo.search.background_search import NOT_YET, BackgroundSearch, NotReady
from demo.search.index import FolderIndex
from demo.search.matches import Match, find_matches
from registry.catalog import DLN
from registry.faces import FaceCropper
from registry.photos import PhotoError

logger = logging.getLogger(__name__)


class FolderSearch(BackgroundSearch):
    """Searches one folder.

    Args:
        folder: A folder or zip of photos; the crops of a prepared set can be chosen by its labels.
        server: The version of the dln that answers.
        cropper: Detects faces in the folder's photos.
    """

    knows_people = True

    def __init__(self, folder: Path, server: ModelProvider, cropper: FaceCropper) -> None:
        super().__init__(folder, server)
        self._cropper = cropper
        self._embedder = TripletComparer(server)
        self._index: FolderIndex | None = None
        self._refused: dict[str, int] = {}
        """When photos that can't be used were changed last: they are not tried again before."""
        self._all = self._done = 0

    def status(self) -> str:
        """Return in a sentence or two what can be searched now, and what can't."""
        if self._index is None:
            return self.problem or NOT_YET
        sentences = [f"{self._index.faces:,} faces can be searched."]
        if self._done < self._all:
            sentences.append(f"{self._done:,} of {self._all:,} photos are computed so far.")
        if self._refused:
            sentences.append(f"{len(self._refused):,} photos can't be read and are left out.")
        return " ".join([*sentences, *([self.problem] if self.problem else [])])

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return the labels by which faces can be chosen, and their values."""
        return {} if self._index is None else self._index.label_values()

    def name_of(self, photo: PhotoFile) -> str:
        """Return a photo's name inside the folder."""
        return photo.member or str(photo.path.relative_to(self.place))

    def matches(
        self, face: Embedding, count: int, *, others_first: bool, filters: Mapping[str, str]
    ) -> list[Match]:
        """Return the faces nearest in expression; see `find`."""
        index = self._index
        if index is None or index.version != (face.provenance.version, face.provenance.run_id):
            raise NotReady(self.problem or NOT_YET)
        return find_matches(
            index, face.to_dict(), count=count, others_first=others_first, filters=filters
        )

    def update(self) -> None:
        """Compute the photos that are new, and forget those that are gone."""
        index = self._index_for(self.server.model(DLN.name))
        if not is_folder_or_zip(self.place):  # as where its disk is gone: what is kept stays
            raise PhotoError(f"{self.place.name} is gone; what was found before can be searched.")
        photos = expand(self.place)
        there = set(map(str, photos))
        self._refused = {name: at for name, at in self._refused.items() if name in there}
        left = [photo for photo in index.left(photos) if not self._is_refused(photo)]
        self._all, self._done = len(photos), len(photos) - len(left)
        self._index = index
        with index:
            for photo in left:
                if self.closed.is_set():
                    return
                self._include(index, photo)
                self._done += 1
            index.finish()

    def _index_for(self, model: Model) -> FolderIndex:
        version = (model.version.number, model.version.run_id)
        if self._index is not None and self._index.version == version:
            return self._index
        return FolderIndex(self.place, version)

    def _is_refused(self, photo: PhotoFile) -> bool:
        return self._refused.get(str(photo)) == photo.modified_ns

    def _include(self, index: FolderIndex, photo: PhotoFile) -> None:
        try:
            index.include(photo, self._embed)
            self._refused.pop(str(photo), None)
        except PhotoError as error:
            logger.warning("%s is not searched: %s", photo, error)
            self._refused[str(photo)] = photo.modified_ns

    def _embed(self, photo: PhotoFile) -> Sequence[dict[str, Any]]:
        read = read_photo_with_faces(photo.read(), self._cropper)
        return [face.to_dict() for face in self._embedder.embed(read)]
