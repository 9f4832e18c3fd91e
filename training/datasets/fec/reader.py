"""FEC: which of three faces of Flickr's photos is the odd one, asked of six people each.

Vemulapalli and Agarwala, A Compact Embedding for Facial Expression Similarity (CVPR 2019). Google
publishes the annotations as two CSV files; the photos have to be fetched from where they were, and
many are gone.
"""

import shlex
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

from training.datasets.fec.download_log import Status
from training.datasets.fec.face_crops import MARGIN, Box, FaceCrops
from training.datasets.fec.fec_csv import EDGES, FecCsv, parse
from training.datasets.fec.held_out import MOST_HELD, MOST_LOST
from training.datasets.fec.photos import Photos
from training.datasets.fec.triplets import RATED, FecTriplets, opinions
from training.datasets.prepared import SPLITS, PreparedError
from training.datasets.readers.archives import Files
from training.datasets.source import Picture, Reading

PARTS = {
    "train": "faceexp-comparison-data-train-public.csv",
    "test": "faceexp-comparison-data-test-public.csv",
}
KEPT = ("photos", "originals", "downloads.tsv")
"""What this set keeps in a prepared folder: excerpts, whole photos, what became of addresses."""
KEPT_BACK = (
    "Validation is drawn from the train file by a rule of ours: triplets are held out with all "
    f"their photos, in the order of their digests, until they are {100 * MOST_HELD:.0f} % of all "
    f"or {100 * MOST_LOST:.0f} % are dropped because they show such photos beside others."
)
BADGE = "It should be the zip or folder of FEC's CSV files, or one of them."


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What may be chosen for fec alone."""

    photos: Path | None = None
    """fec: a folder of photos to use instead of fetching any; they are called after the last part
    of their addresses, or after the SHA-256 of these."""
    limit: int | None = None
    """fec: take so many triplets of each CSV file; the same ones each time."""
    min_agreement: int = 4
    """fec: how many of six people must agree on an answer that is measured against."""
    keep_photos: bool = False
    """fec: keep whole photos in DEST/originals as well."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_agreement <= RATED:
            raise PreparedError(f"--min-agreement is {self.min_agreement}; choose 1 to {RATED}.")
        if self.limit is not None and self.limit < 1:
            raise PreparedError(f"--limit is {self.limit}; choose 1 or more.")
        if self.photos is not None and not self.photos.is_dir():
            raise PreparedError(f"There is no folder {self.photos}; name one that holds photos.")

    def __str__(self) -> str:
        """Return them as the command line has them, a space before each."""
        said = [f"--photos {shlex.quote(str(self.photos))}"] if self.photos else []
        said += [f"--limit {self.limit}"] if self.limit else []
        said += [f"--min-agreement {self.min_agreement}"] if self.min_agreement != RATED - 2 else []
        return "".join(f" {each}" for each in said + ["--keep-photos"] * self.keep_photos)


DEFAULT = Choices()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """FEC without its photos."""

    opinions: FecTriplets
    notes: list[str]
    choices: Choices = field(default=DEFAULT)

    def fetched(self, dest: Path) -> Reading:
        """Get the photos and return the set of those that could be had.

        Raises:
            PreparedError: there is none, or no room for them.
        """
        excerpts = FaceCrops(dest / "photos")
        statuses = self._photos(excerpts, dest)
        there = excerpts.names()
        faces = self.opinions.faces
        if not faces["name"].isin(there).any():
            raise PreparedError(self._nothing(statuses))
        return Reading(
            source=excerpts,
            pictures=[
                Picture(member=member, name=name, split=split)
                for member, name, split in zip(
                    faces["member"], faces["name"], faces["split"], strict=True
                )
                if name in there
            ],
            fallback=MARGIN,
            central=True,
            triplets=self.opinions.triplets,
            answers=self.opinions.answers,
            notes=[*self.notes, _told(statuses), *self._survivors(there)],
        )

    def _photos(self, excerpts: FaceCrops, dest: Path) -> Counter[Status]:
        table, faces = self.opinions.faces, dict[str, list[tuple[str, Box]]]()
        edges = [table[edge].tolist() for edge in EDGES]
        for url, name, *box in zip(table["url"], table["name"], *edges, strict=True):
            faces.setdefault(url, []).append((name, (box[0], box[1], box[2], box[3])))
        originals = dest / "originals" if self.choices.keep_photos else None
        photos = Photos(faces=faces, excerpts=excerpts, originals=originals)
        try:
            for folder in filter(None, (excerpts.folder, originals)):
                folder.mkdir(exist_ok=True)
            if self.choices.photos is not None:
                return photos.find(self.choices.photos)
            return photos.fetch(dest / "downloads.tsv")
        except OSError as error:
            raise PreparedError(
                f"Photos can't be read or kept: {error}; mend that and run the same command again."
            ) from error

    def _nothing(self, statuses: Mapping[Status, int]) -> str:
        said = f"No photo of fec could be had: {_counted(statuses)}; "
        if self.choices.photos is not None:
            return f"{said}are they in {self.choices.photos}, called after their addresses?"
        return f"{said}look at the connection and run the same command again, or name --photos."

    def _survivors(self, there: set[str]) -> Iterator[str]:
        """Say what is left of each split: an accuracy on this set is about these triplets alone."""
        faces, triplets = self.opinions.faces, self.opinions.triplets
        had = faces["name"].isin(there)
        whole = triplets[[f"name_{i}" for i in (1, 2, 3)]].isin(there).all(axis=1)
        photos = faces["url"].where(had)
        for split in SPLITS:
            mine, asked = faces["split"] == split, triplets["split"] == split
            if not mine.any():
                continue
            types = [
                f"{name} {(whole & asked & (triplets['type'] == name)).sum():,} of {count:,}"
                for name, count in triplets["type"][asked].value_counts(sort=False).items()
            ]
            answered = (whole & asked & triplets["answer"].notna()).sum()
            yield (
                f"Of {split} survive {photos[mine].nunique():,} of "
                f"{faces['url'][mine].nunique():,} photos, {(had & mine).sum():,} of "
                f"{mine.sum():,} faces and {(whole & asked).sum():,} of {asked.sum():,} triplets, "
                f"{answered:,} of these with an answer ({', '.join(types)})."
            )


def read(path: Path | None, choices: Choices = DEFAULT) -> Plan:
    """Return FEC from its zip, its folder, or one of the two CSV files.

    Train and validation are of the train file, test is the other one: photos that are in both are
    test photos. `held_out` says which photos of the train file are for validation, and what that
    costs. Triplets whose faces are in different splits are dropped, as are the train file's that
    show test photos alone: test is the published one.

    Raises:
        PreparedError: `path` holds something else, or no usable row.
    """
    parts = {split: _parsed(name, file) for split, (name, file) in _found(path).items()}
    asked = opinions(
        {split: part.table for split, part in parts.items()},
        min_agreement=choices.min_agreement,
        limit=choices.limit,
    )
    notes = [note for part in parts.values() for note in part.notes]
    notes += [KEPT_BACK] if "train" in parts else []
    unlevelled = (
        "Where no face is found in the middle of a box, the box is cut as it is, not levelled: its "
        "`face_confidence` is empty."
    )
    return Plan(opinions=asked, notes=[*notes, *asked.notes, unlevelled], choices=choices)


Opener = Callable[[], BufferedIOBase]


def _found(path: Path | None) -> dict[str, tuple[str, Opener]]:
    """Return the CSV files by their splits: their names, and how they are opened."""
    if path is None:
        raise PreparedError(f"The set fec needs its source. {BADGE}")
    if not path.exists():
        raise PreparedError(f"There is no {path}; the set fec needs it. {BADGE}")
    known = {name: split for split, name in PARTS.items()}
    if path.name in known and path.is_file():
        return {known[path.name]: (path.name, lambda: path.open("rb"))}
    if not (path.is_dir() or is_zipfile(path)):
        raise PreparedError(f"{path} isn't fec. {BADGE}")
    source = Files.of(path, "fec")
    tops = {split: source.top_of(name) for split, name in PARTS.items()}
    found = {split: f"{top}{PARTS[split]}" for split, top in tops.items() if top is not None}
    if not found:
        raise PreparedError(f"{path} isn't fec: it has no {' and no '.join(PARTS.values())}.")
    return {split: (PARTS[split], partial(source.open, at)) for split, at in found.items()}


def _parsed(name: str, opener: Opener) -> FecCsv:
    with _readable(name), opener() as file:
        part = parse(name, file)
    if not len(part.table):
        first = f" Line {part.faults[0].line}: {part.faults[0].why}." if part.faults else ""
        raise PreparedError(f"{name} isn't fec: none of its {part.dropped:,} rows is one.{first}")
    return part


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise PreparedError(f"{name} of fec can't be read: {error}; get it anew.") from error


def _counted(statuses: Mapping[Status, int]) -> str:
    return ", ".join(f"{statuses[status]:,} {status}" for status in Status if statuses[status])


def _told(statuses: Counter[Status]) -> str:
    return f"Of {statuses.total():,} photos: {_counted(statuses)}."
