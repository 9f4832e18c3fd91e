"""FEC: six people each say which of three faces in photos of Flickr is the odd one.

Vemulapalli and Agarwala, A Compact Embedding for Facial Expression Similarity (CVPR 2019). Google
publishes the annotations as two CSV files; the photos have to be downloaded from their addresses,
and many are gone.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from zipfile import is_zipfile

from training.datasets.fec.download_log import Status
from training.datasets.fec.face_crops import MARGIN, Box, FaceCrops
from training.datasets.fec.fec_csv import EDGES, PLACES, FecCsv, parse_csv
from training.datasets.fec.held_out import LARGEST_DROPPED_SHARE, LARGEST_VALIDATION_SHARE
from training.datasets.fec.photos import Photos
from training.datasets.fec.triplets import MOST_ANSWERS, FecTriplets, build_triplets
from training.datasets.prepared import SPLITS, PreparedError, reason_of
from training.datasets.readers.archives import DatasetFiles
from training.datasets.readers.zips import READ_ERRORS
from training.datasets.source import PictureRecord, RawDataset

PARTS = {
    "train": "faceexp-comparison-data-train-public.csv",
    "test": "faceexp-comparison-data-test-public.csv",
}
FETCHED = ("photos", "originals", "downloads.tsv")
"""What this set adds to a prepared folder: squares of faces, whole photos, and a download log."""
VALIDATION_RULE = (
    "Validation is drawn from the train file by our own rule: triplets are held out with all "
    "their photos, in the order of their digests, until they are "
    f"{100 * LARGEST_VALIDATION_SHARE:.0f} % of all or {100 * LARGEST_DROPPED_SHARE:.0f} % are "
    "dropped because only some of their photos are held out."
)
EXPECTED_SOURCE = "It should be the zip or folder of FEC's CSV files, or one of them."


@dataclass(frozen=True, kw_only=True)
class FecOptions:
    """Options of `prepare fec`."""

    photos: Path | None = None
    """fec: a folder of photos to use instead of downloading any; their names are the last parts of
    their addresses, or the SHA-256 of their addresses."""
    limit: int | None = None
    """fec: number of triplets to take of each CSV file; always the same ones."""
    min_agreement: int = 4
    """fec: how many of six people must agree on the answer of a triplet for validation or test."""
    keep_photos: bool = False
    """fec: keep whole photos in DEST/originals as well."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_agreement <= MOST_ANSWERS:
            raise PreparedError(
                f"--min-agreement is {self.min_agreement}; choose 1 to {MOST_ANSWERS}."
            )
        if self.limit is not None and self.limit < 1:
            raise PreparedError(f"--limit is {self.limit}; choose 1 or more.")
        if self.photos is not None and not self.photos.is_dir():
            raise PreparedError(f"There is no folder {self.photos}; name one that holds photos.")

    def __str__(self) -> str:
        """Return the options as command-line flags, with a space before each."""
        flags = [f"--photos {shlex.quote(str(self.photos))}"] if self.photos else []
        flags += [f"--limit {self.limit}"] if self.limit else []
        if self.min_agreement != MOST_ANSWERS - 2:
            flags.append(f"--min-agreement {self.min_agreement}")
        return "".join(f" {flag}" for flag in flags + ["--keep-photos"] * self.keep_photos)


DEFAULT = FecOptions()


@dataclass(frozen=True, kw_only=True)
class FecDataset:
    """FEC before its photos are fetched."""

    triplets: FecTriplets
    notes: list[str]
    options: FecOptions = field(default=DEFAULT)

    def fetch(self, dest: Path) -> RawDataset:
        """Get the photos and return the set of those that were found.

        Raises:
            PreparedError: there is none, or they can't be written.
        """
        face_crops = FaceCrops(dest / "photos")
        statuses = self._fetch_photos(face_crops, dest)
        names = face_crops.names()
        faces = self.triplets.faces
        if not faces["name"].isin(names).any():
            raise PreparedError(self._no_photo(statuses))
        return RawDataset(
            source=face_crops,
            pictures=[
                PictureRecord(member=member, name=name, split=split)
                for member, name, split in zip(
                    faces["member"], faces["name"], faces["split"], strict=True
                )
                if name in names
            ],
            fallback_margin=MARGIN,
            central_face=True,
            triplets=self.triplets.table,
            answers=self.triplets.answers,
            notes=[*self.notes, _note_statuses(statuses), *self._note_rest(names)],
        )

    def _fetch_photos(self, face_crops: FaceCrops, dest: Path) -> Counter[Status]:
        originals = dest / "originals" if self.options.keep_photos else None
        photos = Photos(faces=self._faces_by_photo(), face_crops=face_crops, originals=originals)
        try:
            for folder in filter(None, (face_crops.folder, originals)):
                folder.mkdir(exist_ok=True)
            if self.options.photos is not None:
                return photos.read_folder(self.options.photos)
            return photos.download(dest / "downloads.tsv")
        except OSError as error:
            raise PreparedError(
                f"Photos can't be read or written: {reason_of(error)}; fix that and run the same "
                "command again."
            ) from error

    def _faces_by_photo(self) -> dict[str, list[tuple[str, Box]]]:
        """Return address of each photo -> names and boxes of its faces."""
        table, faces = self.triplets.faces, dict[str, list[tuple[str, Box]]]()
        edges = [table[edge].tolist() for edge in EDGES]
        for url, name, *box in zip(table["url"], table["name"], *edges, strict=True):
            faces.setdefault(url, []).append((name, (box[0], box[1], box[2], box[3])))
        return faces

    def _no_photo(self, statuses: Mapping[Status, int]) -> str:
        sentence = f"No photo of fec is available: {_count_statuses(statuses)}; "
        if self.options.photos is not None:
            folder = self.options.photos
            return f"{sentence}are they in {folder}, named after their addresses?"
        return f"{sentence}check the connection and run the same command again, or use --photos."

    def _note_rest(self, names: set[str]) -> Iterator[str]:
        """Yield how much of each split was found: accuracies on this set cover only these triplets.

        Args:
            names: names of the faces that were found.
        """
        faces, triplets = self.triplets.faces, self.triplets.table
        found = faces["name"].isin(names)
        complete = triplets[[f"name_{i}" for i in PLACES]].isin(names).all(axis=1)
        photos = faces["url"].where(found)
        for split in SPLITS:
            in_split, rows = faces["split"] == split, triplets["split"] == split
            if not in_split.any():
                continue
            types = [
                f"{name} {(complete & rows & (triplets['type'] == name)).sum():,} of {count:,}"
                for name, count in triplets["type"][rows].value_counts(sort=False).items()
            ]
            answered = (complete & rows & triplets["answer"].notna()).sum()
            yield (
                f"Found of {split}: {photos[in_split].nunique():,} of "
                f"{faces['url'][in_split].nunique():,} photos, {(found & in_split).sum():,} of "
                f"{in_split.sum():,} faces and {(complete & rows).sum():,} of {rows.sum():,} "
                f"triplets, {answered:,} of these with an answer ({', '.join(types)})."
            )


def read(path: Path | None, options: FecOptions = DEFAULT) -> FecDataset:
    """Return FEC from its zip, its folder, or one of the two CSV files.

    Train and validation come from the train file, test from the other one: photos in both are
    test photos. VALIDATION_RULE says which photos of the train file are for validation. Triplets
    whose faces are in different splits are dropped, as are triplets of the train file that show
    only test photos: the test stays as published.

    Raises:
        PreparedError: `path` holds something else, or no usable row.
    """
    parts = {split: _parse_part(name, file) for split, (name, file) in _find_parts(path).items()}
    triplets = build_triplets(
        {split: part.table for split, part in parts.items()},
        min_agreement=options.min_agreement,
        limit=options.limit,
    )
    notes = [note for part in parts.values() for note in part.notes]
    notes += [VALIDATION_RULE] if "train" in parts else []
    not_level = (
        "If no face is found in the middle of a box, the box is cut as it is, not levelled: its "
        "`face_confidence` is empty."
    )
    notes += [*triplets.notes, not_level]
    return FecDataset(triplets=triplets, notes=notes, options=options)


Opener = Callable[[], BufferedIOBase]


def _find_parts(path: Path | None) -> dict[str, tuple[str, Opener]]:
    """Return the CSV files by their splits: the name of each, and a function that opens it."""
    if path is None:
        raise PreparedError(f"The set fec needs its source. {EXPECTED_SOURCE}")
    if not path.exists():
        raise PreparedError(f"There is no {path}; the set fec needs it. {EXPECTED_SOURCE}")
    split_of = {name: split for split, name in PARTS.items()}
    if path.name in split_of and path.is_file():
        return {split_of[path.name]: (path.name, lambda: path.open("rb"))}
    if not (path.is_dir() or is_zipfile(path)):
        raise PreparedError(f"{path} isn't fec. {EXPECTED_SOURCE}")
    source = DatasetFiles.locate(path, "fec")
    roots = {split: source.root_of(name) for split, name in PARTS.items()}
    found = {split: f"{root}{PARTS[split]}" for split, root in roots.items() if root is not None}
    if not found:
        missing = " and no ".join(PARTS.values())
        raise PreparedError(f"{path} isn't fec: it has no {missing}. {EXPECTED_SOURCE}")
    return {split: (PARTS[split], partial(source.open, at)) for split, at in found.items()}


def _parse_part(name: str, opener: Opener) -> FecCsv:
    with _reading(name), opener() as file:
        part = parse_csv(name, file)
    if not len(part.table):
        first = f" Line {part.faults[0].line}: {part.faults[0].reason}." if part.faults else ""
        raise PreparedError(
            f"{name} isn't fec: none of its {part.dropped:,} rows is valid.{first} "
            "Use FEC's own file."
        )
    return part


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except READ_ERRORS as error:
        raise PreparedError(
            f"{name} of fec can't be read: {reason_of(error)}; get it again."
        ) from error


def _count_statuses(statuses: Mapping[Status, int]) -> str:
    return ", ".join(f"{statuses[status]:,} {status}" for status in Status if statuses[status])


def _note_statuses(statuses: Counter[Status]) -> str:
    return f"Of {statuses.total():,} photos: {_count_statuses(statuses)}."
