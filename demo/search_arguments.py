"""The arguments of `python -m demo search`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from demo.argument_checks import (
    BadArguments,
    Common,
    Output,
    check_face,
    check_output,
    check_store_address,
    is_folder_or_zip,
    is_table,
)
from demo.embedding_table import LANCE


@dataclass(frozen=True, kw_only=True)
class Search(Common):
    """Find the faces in a folder that are nearest in expression to the face in a photo.

    The folder's photos are computed at its first search, and later only those that are new.

    For example:
        python -m demo search folder a.jpg
        python -m demo search photos.zip a.jpg --others-first -o found.html
        python -m demo search faces.parquet a.jpg --emotion happy
        python -m demo search folder --forget
    """

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """The folder or zip of photos to search, or a table of faces that `embed` wrote."""
    query: Annotated[Positional[Path | None], arg(metavar="[QUERY]")] = None
    """The photo whose expression is searched for."""
    face: Annotated[int, arg(metavar="N")] = 1
    """The face of QUERY: 1 is the largest, 2 the next."""
    count: Annotated[int, arg(metavar="N")] = 12
    """How many faces to find."""
    others_first: bool = False
    """Faces that may be the same person's as that of QUERY come after all others."""
    output: Annotated[Path | None, Output] = None
    """A sheet of the faces found to write, to open in a browser; its name ends with .html."""
    person: Annotated[str | None, arg(metavar="NAME")] = None
    """Only faces of this person, in a prepared set or a table of faces that has the column."""
    emotion: Annotated[str | None, arg(metavar="NAME")] = None
    """Only faces of this emotion, as --person."""
    set: Annotated[str | None, arg(metavar="NAME")] = None
    """Only faces of this data set, as --person."""
    index: Annotated[str | None, arg(metavar="ADDRESS")] = None
    """Where the index of a table of faces is kept, a folder or s3://BUCKET/NAME; in the store's
    folder if it is left out."""
    forget: bool = False
    """Delete what is kept of the folder's faces, instead of searching."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        if self.forget == (self.query is not None):
            raise BadArguments("Name a QUERY, or --forget instead of one.")
        self._check_place()
        if self.is_table and (self.others_first or self.output):
            raise BadArguments("--others-first and -o are for folders of photos, not for tables.")
        self._check_index()
        if self.count < 1:
            raise BadArguments(f"--count {self.count} finds nothing: name at least 1.")
        check_face(self.face)
        if self.output is not None:
            check_output(self.output, ".html")

    @property
    def is_table(self) -> bool:
        """Whether a table of faces is searched."""
        return is_table(self.folder)

    @property
    def filters(self) -> dict[str, str]:
        """By which columns the faces are chosen."""
        wanted = {"person": self.person, "emotion": self.emotion, "set": self.set}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def photos(self) -> tuple[Path, ...]:
        """The photos named: QUERY, if there is one."""
        return () if self.query is None else (self.query,)

    def _check_place(self) -> None:
        if self.folder.suffix == LANCE:
            raise BadArguments(
                f"{str(self.folder)!r} is a table of LanceDB, which can't be searched: write a "
                "Parquet file with `python -m demo embed PHOTOS -o FILE.parquet`."
            )
        if not self.forget and not self.is_table and not is_folder_or_zip(self.folder):
            raise BadArguments(f"{str(self.folder)!r} is no folder and no zip: name one to search.")

    def _check_index(self) -> None:
        if self.index is None:
            return
        if not self.is_table:
            raise BadArguments(
                "--index is for a table of faces: name a Parquet file that "
                "`python -m demo embed` wrote."
            )
        check_store_address(self.index)
