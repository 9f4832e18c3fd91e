"""The arguments of `python -m demo embed`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from demo.argument_checks import (
    BadArguments,
    Common,
    Output,
    PhotoFace,
    check_face,
    check_output,
    check_photos,
    check_store_address,
)
from demo.embedding_table import LANCE
from demo.object_store import StoredFile, is_address

PARQUET = ".parquet"


@dataclass(frozen=True, kw_only=True)
class Embed(Common):
    """Write every face as vectors of length 1 into a table.

    For example:
        python -m demo embed a.jpg b.jpg -o faces.parquet
        python -m demo embed folder photos.zip -o faces.parquet
        python -m demo embed s3://bucket/photos faces.lance --ray --workers 8
    """

    named: Annotated[Positional[tuple[str, ...]], arg(name="photos", metavar="PHOTO [PHOTO ...]")]
    """Photos of faces, folders or zips of them, on disk or in an object store (s3://...)."""
    output: Annotated[Path | None, Output] = None
    """The table to write; its name ends with .parquet, or with .lance for LanceDB. Without -o the
    last of the names is the table. What was done before a stop is kept in FILE.unfinished: the same
    command goes on from there."""
    face: PhotoFace = None
    """The face of each photo: 1 is the largest, 2 the next; all without it."""
    ray: bool = False
    """Work in several processes of Ray, on this machine or on the cluster at RAY_ADDRESS."""
    workers: Annotated[int | None, arg(metavar="N")] = None
    """With --ray: how many processes; by default one for each GPU, or else for each CPU."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        check_photos(self.photos)
        for each in self.named:
            check_store_address(each)
        check_face(self.face)
        if self.output is None and not self._ends_with_table:
            raise BadArguments("Name the table to write: -o FILE.parquet.")
        is_lance = self.table.suffix == LANCE
        check_output(self.table, LANCE if is_lance else PARQUET, is_folder=is_lance)
        if self.workers is not None and not self.ray:
            raise BadArguments("--workers N goes with --ray: add it.")

    @property
    def table(self) -> Path:
        """The table to write."""
        return self.output or Path(self.named[-1])

    @property
    def photos(self) -> tuple[Path | StoredFile, ...]:
        """The photos named: paths, and addresses of an object store."""
        named = self.named[:-1] if self.output is None and self._ends_with_table else self.named
        return tuple(StoredFile(each) if is_address(each) else Path(each) for each in named)

    @property
    def _ends_with_table(self) -> bool:
        return bool(self.named) and Path(self.named[-1]).suffix in (PARQUET, LANCE)
