"""FEC's photos, fetched or at hand: each is cut at its boxes as soon as it is there."""

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

from registry.photos import PhotoError, read_photo
from training.datasets.fec.download_log import FINAL, DownloadLog, Status
from training.datasets.fec.downloads import RateLimits, download
from training.datasets.fec.face_crops import Box, FaceCrops

Faces = Mapping[str, list[tuple[str, Box]]]
"""The names and boxes of the faces of each photo, by its address."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp")


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Turns photos into excerpts.

    Args:
        faces: of every photo.
        excerpts: where they go.
        originals: where whole photos are kept too; None keeps none.
    """

    faces: Faces
    excerpts: FaceCrops
    originals: Path | None = None

    def take(self, address: str, content: bytes) -> None:
        """Cut a photo at its boxes.

        Raises:
            PhotoError: it can't be read.
        """
        photo = read_photo(content)
        if self.originals is not None:
            suffix = PurePosixPath(_file(address)).suffix
            half = self.originals / f"{_digest(address)}.part"
            half.write_bytes(content)
            half.replace(half.with_suffix(suffix if suffix in SUFFIXES else SUFFIXES[0]))
        for name, box in self.faces[address]:
            self.excerpts.write(name, photo, box)

    def fetch(self, ledger_path: Path, rate_limits: RateLimits | None = None) -> Counter[Status]:
        """Download the photos whose faces aren't all there, and return what became of all."""
        done = self._done()
        with DownloadLog.opened(ledger_path) as ledger:
            missing = [
                address
                for address in self.faces
                if address not in done and ledger.known.get(address) not in FINAL
            ]
            for address in done:
                ledger.write(address, Status.OK)
            download(missing, self.take, ledger, rate_limits)
            return Counter(Status.OK if a in done else ledger.known[a] for a in self.faces)

    def find(self, folder: Path) -> Counter[Status]:
        """Take the photos in `folder`, and return what became of all.

        A photo's file is called after the last part of its address, if no other photo's address
        ends in the same, or after the SHA-256 of its address, with any suffix.
        """
        done = self._done()
        files = _files(folder, self.faces)

        def status(address: str) -> Status:
            if address in done:
                return Status.OK
            return self._found(address, files[address]) if address in files else Status.NOT_AT_HAND

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            console = Console(stderr=True)
            found = pool.map(status, self.faces)
            total = len(self.faces)
            return Counter(track(found, description="photos", total=total, console=console))

    def _found(self, address: str, file: Path) -> Status:
        try:
            self.take(address, file.read_bytes())
        except PhotoError:
            return Status.NO_PICTURE
        return Status.OK

    def _done(self) -> set[str]:
        """Return the photos all of whose faces are there, and the whole photo where it is kept."""
        there = self.excerpts.names()
        whole = self.originals.iterdir() if self.originals else ()
        kept = {file.stem for file in whole if file.suffix != ".part"}
        return {
            address
            for address, faces in self.faces.items()
            if all(name in there for name, _ in faces)
            and (self.originals is None or _digest(address) in kept)
        }


def _files(folder: Path, addresses: Iterable[str]) -> dict[str, Path]:
    """Return each photo's file, as far as it is in the folder."""
    by_name = {file.name: file for file in folder.iterdir() if file.is_file()}
    by_stem = {file.stem: file for file in by_name.values()}
    last = {address: _file(address) for address in addresses}
    often = Counter(last.values())
    found = {}
    for address, name in last.items():
        own = by_name.get(name) if often[name] == 1 else None
        if file := by_stem.get(_digest(address)) or own:
            found[address] = file
    return found


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def _file(address: str) -> str:
    """Return the last part of an address."""
    path = address.split("#")[0].split("?")[0]
    return unquote(path.rsplit("/", 1)[-1])
