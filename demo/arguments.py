"""The command line of `python -m demo`: its commands, and what is refused before any work."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg, subcommand

from demo.argument_checks import (
    BadArguments,
    Common,
    Output,
    PhotoFace,
    Photos,
    check_face,
    check_output,
    check_photos,
    check_strength,
)
from demo.embed_arguments import Embed
from demo.search_arguments import Search

PROG = "python -m demo"
DESCRIPTION = """Answer questions about photos of faces with the models in production.
Where a PHOTO may stand, a folder or a zip of photos may stand, too. The photos are JPEG, PNG, WebP,
AVIF, HEIC, GIF, BMP or TIFF. --version prints the version."""


@dataclass(frozen=True, kw_only=True)
class Compare(Common):
    """Print which two of three photos share an expression.

    For example:
        python -m demo compare a.jpg b.jpg c.jpg --json
    """

    photos: Annotated[Positional[tuple[Path, ...]], arg(metavar="PHOTO PHOTO PHOTO")]
    """Three photos of faces, or a folder or zip with three."""
    face: PhotoFace = None
    """The face of each photo: 1 is the largest, 2 the next; the largest without it."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        check_photos(self.photos)
        check_face(self.face)


@dataclass(frozen=True, kw_only=True)
class Emotion(Common):
    """Print the emotion of every face.

    For example:
        python -m demo emotion a.jpg b.jpg
        python -m demo emotion a.jpg --face 2 --json
    """

    photos: Photos
    """Photos of faces, folders or zips of them."""
    face: PhotoFace = None
    """The face of each photo: 1 is the largest, 2 the next; all without it."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        check_photos(self.photos)
        check_face(self.face)


@dataclass(frozen=True, kw_only=True)
class Transfer(Common):
    """Write one person's photo with another's expression; only of people who agree to it.

    For example:
        python -m demo transfer a.jpg b.jpg -o c.png
        python -m demo transfer a.jpg --neutral -o c.png
    """

    source: Annotated[Positional[Path], arg(metavar="SOURCE")]
    """The photo of the person whose face it stays."""
    driver: Annotated[Positional[Path | None], arg(metavar="[DRIVER]")] = None
    """The photo whose expression the face takes on."""
    neutral: bool = False
    """Take on a neutral expression instead of a DRIVER's."""
    output: Annotated[Path, Output]
    """The picture to write; its name ends with .png."""
    strength: Annotated[float, arg(metavar="S")] = 1.0
    """-0.5 to 1.5: 0 leaves the face, 1 goes all the way, below 0 away from the expression."""
    source_face: Annotated[int, arg(metavar="N")] = 1
    """The face of SOURCE: 1 is the largest, 2 the next."""
    driver_face: Annotated[int, arg(metavar="N")] = 1
    """The face of DRIVER: 1 is the largest, 2 the next."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        if self.neutral == (self.driver is not None):
            raise BadArguments("Name a DRIVER, or --neutral instead of one.")
        check_face(self.source_face)
        check_face(self.driver_face)
        check_strength(self.strength)
        check_output(self.output, ".png")
        for photo in self.photos:
            if photo.exists() and self.output.exists() and photo.samefile(self.output):
                raise BadArguments(
                    f"{str(self.output)!r} is one of the photos given: name another file to write."
                )

    @property
    def photos(self) -> tuple[Path, ...]:
        """The photos named: SOURCE, and DRIVER if there is one."""
        return (self.source,) if self.driver is None else (self.source, self.driver)


@dataclass(frozen=True, kw_only=True)
class Video(Common):
    """Write the emotions of the faces in a short video over time, as a table and a plot.

    For example:
        python -m demo video clip.mp4 clip.csv
    """

    video: Annotated[Positional[Path], arg(metavar="FILE")]
    """A video of at most two minutes: MP4, MOV, WebM, MKV, AVI."""
    output: Annotated[Positional[Path], arg(metavar="OUT")]
    """The table to write; its name ends with .csv. The plot gets the same name with .png."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        check_output(self.output, ".csv")

    @property
    def plot(self) -> Path:
        """The file of the plot."""
        return self.output.with_suffix(".png")

    @property
    def photos(self) -> tuple[Path, ...]:
        """There are no photos."""
        return ()


@dataclass(frozen=True, kw_only=True)
class TransferVideo(Common):
    """Write a short clip with another expression on a face; only of people who agree to it.

    The face is the largest at the clip's beginning. The new clip is MP4, without sound.

    For example:
        python -m demo transfer-video clip.mp4 b.jpg -o new.mp4
    """

    clip: Annotated[Positional[Path], arg(metavar="CLIP")]
    """The clip of the person whose face it stays: at most 20 seconds."""
    driver: Annotated[Positional[Path | None], arg(metavar="[DRIVER]")] = None
    """The photo whose expression the face takes on."""
    neutral: bool = False
    """Take on a neutral expression instead of a DRIVER's."""
    output: Annotated[Path, Output]
    """The clip to write; its name ends with .mp4."""
    strength: Annotated[float, arg(metavar="S")] = 1.0
    """-0.5 to 1.5: 0 leaves the face, 1 goes all the way, below 0 away from the expression."""
    driver_face: Annotated[int, arg(metavar="N")] = 1
    """The face of DRIVER: 1 is the largest, 2 the next."""

    def check(self) -> None:
        """Raise BadArguments where the arguments can't be used."""
        if self.neutral == (self.driver is not None):
            raise BadArguments("Name a DRIVER, or --neutral instead of one.")
        check_face(self.driver_face)
        check_strength(self.strength)
        check_output(self.output, ".mp4")
        if self.clip.exists() and self.output.exists() and self.clip.samefile(self.output):
            raise BadArguments(f"{str(self.output)!r} is the clip itself: name another file.")

    @property
    def photos(self) -> tuple[Path, ...]:
        """The photos named: DRIVER, if there is one."""
        return () if self.driver is None else (self.driver,)


Command = Compare | Emotion | Embed | Transfer | Search | Video | TransferVideo
Subcommands = (
    Annotated[Compare, subcommand("compare")]
    | Annotated[Emotion, subcommand("emotion")]
    | Annotated[Embed, subcommand("embed")]
    | Annotated[Transfer, subcommand("transfer")]
    | Annotated[Search, subcommand("search")]
    | Annotated[Video, subcommand("video")]
    | Annotated[TransferVideo, subcommand("transfer-video")]
)


def parse(arguments: Sequence[str] | None) -> Command:
    """Return the command with its arguments; those of the process where `arguments` is None.

    Raises:
        BadArguments: An argument can't be used.
        SystemExit: 2 after tyro's own message, 0 after --help or --version.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(version("expression-studio"))
        raise SystemExit(0)
    command: Command = tyro.cli(
        Subcommands,
        args=given,
        prog=PROG,
        description=DESCRIPTION,
        config=(FlagCreatePairsOff,),
    )
    command.check()
    return command
