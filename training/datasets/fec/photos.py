"""FEC's photos, downloaded or from a folder: their faces are cut out as soon as they arrive."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from rich.console import Console
from rich.progress import track

from registry.files import atomic_write, remove_unfinished
from registry.photos import PHOTO_SUFFIXES, PhotoError, read_photo
from training.datasets.fec.download_log import FINAL, DownloadLog, Status
from training.datasets.fec.downloads import RateLimits, download
from training.datasets.fec.face_crops import Box, FaceCrops


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Cuts faces out of photos.

    Args:
        faces: address of each photo -> names and boxes of its faces.
        face_crops: where the faces are written.
        originals: where whole photos are written too; None writes none.
    """

    faces: Mapping[str, list[tuple[str, Box]]]
    face_crops: FaceCrops
    originals: Path | None = None

    def add(self, address: str, content: bytes) -> None:
        """Cut a photo's faces out of it and write them.

        Args:
            address: address of the photo.
            content: bytes of the photo's file.

        Raises:
            PhotoError: it can't be read.
            OSError: a file can't be written.
        """
        photo = read_photo(content)
        if self.originals is not None:
            suffix = PurePosixPath(_file_name(address)).suffix.lower()
            suffix = suffix if suffix in PHOTO_SUFFIXES else ".jpg"
            with atomic_write(self.originals / f"{_digest(address)}{suffix}") as part:
                part.write_bytes(content)
        for name, box in self.faces[address]:
            self.face_crops.write(name, photo, box)

    def download(self, log_path: Path, rate_limits: RateLimits | None = None) -> Counter[Status]:
        """Download the photos that aren't done yet, and return how many photos have each status."""
        done = self._done()
        with DownloadLog.opened(log_path) as log:
            missing = [
                address
                for address in self.faces
                if address not in done and log.statuses.get(address) not in FINAL
            ]
            for address in done:
                log.write(address, Status.OK)
            download(missing, self.add, log, rate_limits)
            return Counter(Status.OK if a in done else log.statuses[a] for a in self.faces)

    def read_folder(self, folder: Path) -> Counter[Status]:
        """Read the photos in `folder`, and return how many photos have each status.

        A photo's file is named after the last part of its address, if no other photo's address ends
        in the same, or after the SHA-256 of its address, with any suffix.
        """
        done = self._done()
        files = _match_files(folder, self.faces)

        def status(address: str) -> Status:
            if address in done:
                return Status.OK
            return self._add_file(address, files[address]) if address in files else Status.MISSING

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            console = Console(stderr=True)
            found = pool.map(status, self.faces)
            total = len(self.faces)
            return Counter(track(found, description="photos", total=total, console=console))

    def _add_file(self, address: str, file: Path) -> Status:
        try:
            self.add(address, file.read_bytes())
        except PhotoError:
            return Status.NO_PICTURE
        return Status.OK

    def _done(self) -> set[str]:
        """Return the photos whose faces are all written, and whose originals are too if wanted.

        Unfinished files of a killed run are deleted.
        """
        names = self.face_crops.names()
        originals: set[str] = set()
        if self.originals is not None:
            remove_unfinished(self.originals)
            originals = {file.stem for file in self.originals.iterdir()}
        return {
            address
            for address, faces in self.faces.items()
            if all(name in names for name, _ in faces)
            and (self.originals is None or _digest(address) in originals)
        }


def _match_files(folder: Path, addresses: Iterable[str]) -> dict[str, Path]:
    """Return address -> file of the photos that are in the folder."""
    by_name = {file.name: file for file in folder.iterdir() if file.is_file()}
    by_stem = {file.stem: file for file in by_name.values()}
    names = {address: _file_name(address) for address in addresses}
    counts = Counter(names.values())
    found = {}
    for address, name in names.items():
        own = by_name.get(name) if counts[name] == 1 else None
        if file := by_stem.get(_digest(address)) or own:
            found[address] = file
    return found


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def _file_name(address: str) -> str:
    """Return the last part of an address."""
    path = address.split("#")[0].split("?")[0]
    return unquote(path.rsplit("/", 1)[-1])
