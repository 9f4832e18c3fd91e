"""The index of one folder: which of its photos are known, and their faces' vectors."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from demo.embedding_table import VersionChanged, table_name
from demo.face_labels import FaceLabels
from demo.photo_files import PhotoFile
from demo.search.tables import FaceRow, FileRow, IndexFailed, Tables
from demo.search.vectors import Building, Vector, quietly
from registry import store
from registry.faces import NoFace
from registry.photos import PhotoError

FOLDER_NAME = "search"
NAME_DIGITS = 20
OWNER_ONLY = 0o700
PHOTOS_AT_ONCE = 20
"""The faces of so many photos are written together; those of a killed process are lost."""
Embed = Callable[[PhotoFile], Sequence[Mapping[str, Any]]]
BUSY = "Another process indexes {folder} now; search again when it has ended."


class FolderIndex:
    """The faces of a folder's photos as vectors of one version of the dln, on disk.

    As a context manager it lets no other process change the index, and writes at the end what was
    added. Photos are known by their content: one that was renamed or copied is not computed again.

    Args:
        folder: The folder or zip of photos.
        version: Number and run of the version that makes the vectors.

    Raises:
        IndexFailed: The index can't be read or written.
    """

    def __init__(self, folder: Path, version: tuple[int, str]) -> None:
        self.folder, self.version = folder, version
        self.path = place(folder)
        make_folder(self.path)
        self._lock = FileLock(self.path / "index.lock", timeout=0, thread_local=False)
        self._tables = Tables(self.path, f"dln-{version[0]}-{version[1]}")
        self._guard = threading.Lock()
        self.labels = FaceLabels()
        self._photos: dict[str, PhotoFile] = {}
        self._files: dict[str, FileRow] = {}
        self._without_face: set[str] = set()
        self._changed = False
        self._with_faces: set[str] = set()
        self._new_files: list[FileRow] = []
        self._new_faces: list[dict[str, Any]] = []
        self.faces = 0
        """How many faces are written; kept here, because the tables are rewritten at times and a
        visitor who asks then would get an error."""
        self.read()

    def __enter__(self) -> "FolderIndex":
        make_folder(self.path)  # it may have been deleted, and the lock would let everybody read it
        try:
            self._lock.acquire()
        except Timeout:
            raise IndexFailed(BUSY.format(folder=self.folder)) from None
        self.read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.write()
        finally:
            self._lock.release()

    def read(self) -> None:
        """Read from disk which photos are known."""
        self._files, self._with_faces = self._tables.files(), self._tables.digests()
        self._without_face = {row.digest for row in self._files.values() if not row.has_face}
        self.faces = self._tables.count_faces()

    def left(self, photos: Iterable[PhotoFile]) -> list[PhotoFile]:
        """Take these for the photos of the folder; return those that are new or were changed.

        A photo counts as unchanged where its size and its time are.
        """
        self.labels = FaceLabels()
        self._photos = {self._name(photo): photo for photo in photos}
        return [photo for name, photo in self._photos.items() if not self._holds(name, photo)]

    def include(self, photo: PhotoFile, embed: Embed) -> None:
        """Add a photo; its faces are computed unless a photo of the same content is known.

        Args:
            photo: A photo of the folder.
            embed: Returns the faces of a photo as `Embedding.to_dict` does; raises NoFace for one
                without any, and another PhotoError for one that can't be used.

        Raises:
            PhotoError: It can't be used.
            VersionChanged: The faces are another version's.
        """
        content = digest(photo)
        if not self._is_done(content):
            found = _faces_or_none(photo, embed)
            if found and (found[0]["version"], found[0]["run_id"]) != self.version:
                raise VersionChanged(
                    "Another version of the dln was promoted meanwhile; search again for its "
                    "vectors."
                )
            keys = ("face", "box", "expression", "identity")
            self._new_faces += [{"digest": content} | {k: row[k] for k in keys} for row in found]
            self._with_faces.update([content] if found else [])
        has_face = content in self._with_faces
        self._note(FileRow(self._name(photo), *_size_and_time(photo), content, has_face))

    def write(self) -> None:
        """Write what was added since; the faces first, so that no file is known without them."""
        self._tables.add_faces(self._new_faces)
        self.faces, self._new_faces = self._tables.count_faces(), []
        if self._new_files:
            self._tables.add_files(self._new_files)
            self._new_files = []

    def finish(self, building: Building = quietly) -> None:
        """Remove for good all but the folder's photos, and other versions' vectors.

        Args:
            building: Reports that an index of vectors is built, where there are so many faces.
        """
        self.write()
        kept = {name: row for name, row in self._files.items() if name in self._photos}
        vanished = self._with_faces - {row.digest for row in kept.values()}
        if not vanished and not self._changed and len(kept) == len(self._files):
            return
        with self._guard:
            self._tables.replace_files(kept.values())
            self._tables.remove_faces(vanished)
            self._tables.compact(building)
        self._changed = False
        self.read()

    def photos_of(self, digests: Container[str]) -> dict[str, list[PhotoFile]]:
        """Return the folder's photos with these contents, by the digests of these."""
        found: dict[str, list[PhotoFile]] = {}
        for name, row in list(self._files.items()):
            if row.digest in digests and name in self._photos:
                found.setdefault(row.digest, []).append(self._photos[name])
        return found

    def photos_with(self, filters: Mapping[str, str]) -> dict[str, list[PhotoFile]]:
        """Return the folder's photos with these labels, by the digests of their contents."""
        found: dict[str, list[PhotoFile]] = {}
        for name, photo in list(self._photos.items()):
            row = self._files.get(name)
            if row is not None and filters.items() <= self.labels.of(photo).items():
                found.setdefault(row.digest, []).append(photo)
        return found

    def label_values(self) -> dict[str, list[str]]:
        """Return the labels that the folder's photos have, and their values."""
        return self.labels.values(list(self._photos.values()))

    def nearest(
        self,
        expression: Vector,
        identity: Vector | None,
        count: int,
        apart: float | None,
        among: Collection[str] | None = None,
    ) -> list[FaceRow]:
        """Return the nearest faces; see `Tables.nearest`. Threads may ask while another adds."""
        with self._guard:
            return self._tables.nearest(expression, identity, count, apart, among)

    def _holds(self, name: str, photo: PhotoFile) -> bool:
        known = self._files.get(name)
        unchanged = known is not None and known[1:3] == _size_and_time(photo)
        return known is not None and unchanged and self._is_done(known.digest)

    def _is_done(self, content: str) -> bool:
        return content in self._with_faces or content in self._without_face

    def _note(self, row: FileRow) -> None:
        self._files[row.name] = row
        self._changed = True
        if not row.has_face:
            self._without_face.add(row.digest)
        self._new_files.append(row)
        if len(self._new_files) >= PHOTOS_AT_ONCE:
            self.write()

    def _name(self, photo: PhotoFile) -> str:
        """Return a photo's name inside the folder, as a table can hold it."""
        if photo.member is not None:
            return table_name(photo.member)
        return table_name(str(photo.path.relative_to(self.folder)))


def state_folder() -> Path:
    """Return where all indexes are: in the local store, or in the user's folder of state."""
    local = store.folder()
    if local is not None:
        return local / FOLDER_NAME
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "expression-studio" / FOLDER_NAME


def place(folder: Path) -> Path:
    """Return where the index of a folder is, whether or not there is one."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:NAME_DIGITS]
    return state_folder() / name


def forget(folder: Path) -> str:
    """Delete the index of a folder; return what was done, in a sentence.

    Raises:
        IndexFailed: It can't be deleted, or another process writes it.
    """
    path = place(folder)
    if not path.exists():
        return f"Nothing is kept of the faces in {folder}."
    try:
        with FileLock(path / "index.lock", timeout=0):
            shutil.rmtree(path)
    except Timeout:
        raise IndexFailed(BUSY.format(folder=folder)) from None
    except OSError as error:
        raise IndexFailed(f"{path} can't be deleted ({error.strerror}).") from error
    return f"What was kept of the faces in {folder} is deleted; the photos stay."


def digest(photo: PhotoFile) -> str:
    """Return the SHA-256 of a photo's content.

    Raises:
        PhotoError: It can't be read.
    """
    content = photo.read()
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    try:
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PhotoError(f"{photo} can't be read ({error.strerror}).") from error


def _faces_or_none(photo: PhotoFile, embed: Embed) -> Sequence[Mapping[str, Any]]:
    try:
        return embed(photo)
    except NoFace:
        return []


def _size_and_time(photo: PhotoFile) -> tuple[int, int]:
    """Return a photo's size and when it was changed; a zip's member has those of its zip."""
    try:
        return photo.path.stat().st_size, photo.modified_ns
    except OSError:
        return 0, 0


def make_folder(path: Path) -> None:
    """Make the folder of an index, which only this user may read.

    Raises:
        IndexFailed: It can't be made.
    """
    try:
        path.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    except OSError as error:
        raise IndexFailed(f"{path} can't be made ({error.strerror}).") from error
