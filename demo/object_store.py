"""Photos in an object store, such as S3: listed and read through PyArrow's file systems.

Credentials and the store's address come from the environment, as its own programs read them
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION for S3).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from registry.errors import first_line
from registry.photos import PhotoError

SCHEMES = ("s3", "gs", "abfs", "abfss", "hdfs")
"""How addresses begin that PyArrow can read."""
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""Variables with the region of a store."""
S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables with the address of an S3-compatible store that isn't Amazon's."""


@dataclass(frozen=True)
class StoredFile:
    """A file or folder of an object store.

    Args:
        address: SCHEME://BUCKET/KEY, the key as it is, without %-escapes.
        modified_ns: When it was changed last: nanoseconds since 1970; 0 where unknown.
    """

    address: str
    modified_ns: int = 0

    def __str__(self) -> str:
        return self.address

    @property
    def key(self) -> str:
        """Its address without scheme and bucket."""
        return self.address.partition("://")[2].partition("/")[2]

    @property
    def suffix(self) -> str:
        """The end of its name, such as .zip."""
        return PurePosixPath(self.address).suffix

    def open(self) -> Any:
        """Open it for reading; it can be sought in.

        Raises:
            OSError: It can't be read.
        """
        filesystem, path = _place(self.address)
        return filesystem.open_input_file(path)

    def read(self, max_bytes: int) -> bytes:
        """Return what it holds.

        Raises:
            PhotoError: It can't be read, or is larger than `max_bytes`.
        """
        try:
            with self.open() as file:
                content: bytes = file.read(max_bytes + 1)
        except (OSError, ValueError) as error:
            raise _unreadable(self, error) from error
        if len(content) > max_bytes:
            raise PhotoError(f"{self} is larger than {max_bytes // 10**6} MB.")
        return content


def is_address(named: str) -> bool:
    """Return whether a text is an address of an object store, not a path."""
    return "://" in named


def check_address(address: str) -> None:
    """Check that an address can be read, and that its password, if it has one, gets nowhere.

    Raises:
        PhotoError: There is no such kind of store, or a password stands in the address.
    """
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise PhotoError(f"{address} can't be read: it is no address.") from error
    if parts.password is not None or (parts.username and parts.scheme == "s3"):
        raise PhotoError(
            "The address of a store must hold no password, which would be kept: set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead."
        )
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise PhotoError(f"{address} can't be read: an address begins with s3:// and a bucket.")


def list_files(place: StoredFile) -> list[StoredFile]:
    """Return a file as it is there, or all files below a folder, by address.

    Raises:
        PhotoError: There is nothing, or the store can't be reached.
    """
    try:
        found = list(_listed(place))
    except (OSError, ValueError) as error:
        raise _unreadable(place, error) from error
    if not found:
        raise PhotoError(f"{place} is empty or isn't there; name another address.")
    return sorted(found, key=str)


def _listed(place: StoredFile) -> Iterator[StoredFile]:
    from pyarrow import fs

    filesystem, path = _place(place.address)
    (info,) = filesystem.get_file_info([path])
    infos = [info]
    if info.type == fs.FileType.Directory:
        infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    parts = urlsplit(place.address)
    _, root = _file_system(parts.scheme, parts.netloc)
    for each in infos:
        if each.type == fs.FileType.File:
            key = each.path.removeprefix(root).lstrip("/")
            yield StoredFile(f"{parts.scheme}://{parts.netloc}/{key}", each.mtime_ns or 0)


def _place(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    parts = urlsplit(address)
    filesystem, root = _file_system(parts.scheme, parts.netloc)
    key = address.partition("://")[2].removeprefix(parts.netloc)
    return filesystem, f"{root}{key}".rstrip("/")


@lru_cache(maxsize=16)
def _file_system(scheme: str, bucket: str) -> tuple[Any, str]:
    from pyarrow import fs

    endpoint = s3_endpoint()
    if scheme == "s3" and endpoint:
        return fs.S3FileSystem(endpoint_override=endpoint, region=s3_region()), bucket
    filesystem, root = fs.FileSystem.from_uri(f"{scheme}://{bucket}")
    return filesystem, str(root).rstrip("/")


def s3_endpoint() -> str | None:
    """Return the address of the S3-compatible store that the environment names; None: Amazon's."""
    return next((os.environ[name] for name in S3_ENDPOINTS if os.environ.get(name)), None)


def s3_region() -> str:
    """Return the region of the store that the environment names, or else us-east-1."""
    return next((os.environ[name] for name in REGIONS if os.environ.get(name)), "us-east-1")


def _unreadable(place: StoredFile, error: Exception) -> PhotoError:
    return PhotoError(f"{place} can't be read ({first_line(error)}).")
