"""A zip that is read in place: refused when it is opened, or read within bounds.

A zip says how large its members are; a few kilobytes may say and unpack to gigabytes. So sizes are
checked before anything is unpacked, and what is unpacked is counted as it comes.
"""

import bz2
import copy
import io
import lzma
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, cast
from zipfile import (
    ZIP_BZIP2,
    ZIP_DEFLATED,
    ZIP_LZMA,
    ZIP_STORED,
    BadZipFile,
    ZipFile,
    ZipInfo,
    is_zipfile,
)

from registry.photos import PHOTO_SUFFIXES
from training.datasets.prepared import PreparedError, reason_of
from training.datasets.readers.zip_names import decode_names

LARGEST_BYTES = 320 << 20
"""Of a file that is read as a whole: a picture of 100 megapixels, not compressed, has 300 MB."""
LARGEST_RATIO = 200
"""How often a member may be larger than in its zip; pictures and text stay below 20."""
TOO_LARGE = f"more than the {LARGEST_BYTES >> 20} MiB that are read of a file"
RATIO_COUNTS_FROM = 16 << 20
"""Smaller members may be blank pictures, which are packed to almost nothing."""
READABLE = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA)
METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    95: "XZ",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
    99: "AES",
}
"""Numbers of methods that this program can't read, by the zip's specification, and their names."""
OTHER_ARCHIVES = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}
"""How other archives begin."""
ARCHIVE_SUFFIXES = (
    *(".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".z01", ".001"),
)
PART_BYTES = 1 << 20
OPEN_ERRORS = (OSError, BadZipFile, RuntimeError, ValueError, EOFError)
"""Raised by `zipfile` for a damaged list of members; NotImplementedError is a RuntimeError."""
READ_ERRORS = (
    *(OSError, KeyError, BadZipFile, EOFError, RuntimeError, ValueError, zlib.error),
    lzma.LZMAError,
)
"""Raised when a damaged or missing member is read."""


@dataclass(frozen=True)
class OpenedZip:
    """A zip that was checked, and its files by their paths with forward slashes."""

    archive: ZipFile
    members: Mapping[str, ZipInfo]

    def open(self, member: str) -> io.BufferedIOBase:
        """Open a file, to be read in parts; it never gives more bytes than the zip declares.

        Raises:
            READ_ERRORS: there is none, or it is damaged.
        """
        info = self.members[member]
        if info.compress_type in (ZIP_STORED, ZIP_DEFLATED):
            return cast("io.BufferedIOBase", self.archive.open(info))
        return _unpack_in_parts(self.archive, info)

    def read(self, member: str) -> bytes:
        """Return a file's bytes.

        Raises:
            READ_ERRORS: there is none, it is damaged, or it is larger than the zip declares.
        """
        info, content = self.members[member], bytearray()
        with self.open(member) as file:
            while part := file.read(PART_BYTES):
                content += part
                if len(content) > info.file_size:
                    raise BadZipFile("it is larger than its zip says")
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise BadZipFile("its bytes aren't those that its zip lists")
        return bytes(content)


def check_is_zip(path: Path, set_name: str) -> None:
    """Refuse a file that is no zip, or one without its end, where a zip lists its members.

    Raises:
        PreparedError: with what it is, and what to do.
    """
    if is_zipfile(path):
        return
    with path.open("rb") as file:
        start = file.read(512)
    kind = next((kind for magic, kind in OTHER_ARCHIVES.items() if start.startswith(magic)), None)
    if start[257:262] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise PreparedError(f"{path} is {kind}, which isn't read; unpack it and name the folder.")
    if start.startswith(b"PK"):
        raise PreparedError(
            f"{path} is a zip without its end: it was cut off, or is one of several parts; get it "
            "again, or unpack it with all its parts and name the folder."
        )
    if not start:
        raise PreparedError(f"{path} is empty; get {set_name} again.")
    raise PreparedError(f"{path} is neither a folder nor a zip; name those of {set_name}.")


@lru_cache(maxsize=4)
def open_zip(path: Path) -> OpenedZip:
    """Return a zip whose members can all be read.

    Raises:
        PreparedError: it is damaged, or a member is encrypted, packed in a way that isn't read, far
            too large, a link, or outside of the zip; with what to do.
    """
    try:
        archive = ZipFile(path)
        members = archive.infolist()
        names = decode_names(members)
    except OPEN_ERRORS as error:
        raise PreparedError(
            f"{path} is a damaged zip, or one of several parts: {reason_of(error)}; get it again, "
            "or unpack it and name the folder."
        ) from error
    _check(path, dict(zip(names, members, strict=True)))
    files = {n: m for n, m in zip(names, members, strict=True) if not n.endswith("/")}
    return OpenedZip(archive, files)


def _check(path: Path, members: Mapping[str, ZipInfo]) -> None:
    end = path.stat().st_size
    for name, member in members.items():
        if fault := next(_faults(name, member, end), None):
            raise PreparedError(f"{path} isn't read: {fault}.")


def _faults(name: str, member: ZipInfo, end: int) -> Iterator[str]:
    """Yield what is wrong with a member, and what to do."""
    parts, unpack = name.split("/"), "unpack it and name the folder"
    if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", parts[0]):
        yield f"its member {name!r} points outside of it; {unpack}"
    if stat.S_ISLNK(member.external_attr >> 16):
        yield f"its member {name!r} is a link; {unpack}"
    if member.flag_bits & 1:
        yield f"it has a password; {unpack}"
    if member.compress_type not in READABLE:
        method = METHODS.get(member.compress_type, f"method {member.compress_type}")
        yield f"{name!r} is packed by {method}, which this program can't read; {unpack}"
    if member.header_offset + member.compress_size > end:
        yield f"{name!r} isn't in it as a whole, since it is damaged or cut off; get it again"
    is_picture = Path(name).suffix.lower() in PHOTO_SUFFIXES
    if is_picture and member.file_size > LARGEST_BYTES:
        yield f"{name!r} has {member.file_size:,} bytes, {TOO_LARGE}; take that file out of it"
    most = max(RATIO_COUNTS_FROM, LARGEST_RATIO * member.compress_size)
    if member.file_size > most:
        sizes = f"{member.compress_size:,} to {member.file_size:,} bytes"
        yield (
            f"{name!r} would unpack from {sizes}, more than {LARGEST_RATIO} times as many; take "
            "that file out of it"
        )


def _unpack_in_parts(archive: ZipFile, info: ZipInfo) -> io.BufferedIOBase:
    """Return a bzip2 or LZMA member as a stream: `zipfile` would unpack either as a whole."""
    packed = copy.copy(info)
    packed.compress_type, packed.file_size = ZIP_STORED, info.compress_size
    del packed.CRC  # it is that of the unpacked bytes
    stream = cast("io.BufferedIOBase", archive.open(packed))
    if info.compress_type == ZIP_BZIP2:
        return bz2.BZ2File(stream)
    return _lzma_stream(stream, info.file_size)


def _lzma_stream(stream: io.BufferedIOBase, size: int) -> lzma.LZMAFile:
    """Return an LZMA member: two bytes of version, two of length, five of properties, the rest."""
    properties = stream.read(9)[4:]
    if len(properties) < 5:
        raise BadZipFile("its LZMA header is cut off")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    dictionary = min(int.from_bytes(properties[1:], "little"), max(size, 1 << 12))
    decoder = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": dictionary}
    return lzma.LZMAFile(cast("IO[bytes]", stream), format=lzma.FORMAT_RAW, filters=[decoder])
