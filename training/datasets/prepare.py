"""Cuts photos into crops once (`prepare`) and shows what a folder holds (`show`).

To add a data set, write its reader in `training.datasets.readers` and add a line to READERS.
"""

import os
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from registry.console import track
from registry.files import atomic_write, remove_unfinished
from training.datasets import tables
from training.datasets.crop import PictureCropper, StoredCrop, read_crop_comment, start_workers
from training.datasets.fec import reader as fec
from training.datasets.leakage import check_splits_disjoint, drop_leaked_crops
from training.datasets.prepared import Prepared, PreparedError, set_name_of, writing
from training.datasets.ray_crops import crop_on_ray
from training.datasets.readers import (
    affectnet,
    fer2013,
    ferplus,
    folder,
    lfw_emotion,
    london,
    name_codes,
    rafd,
    rafdb,
)
from training.datasets.readers.archives import explain_archives
from training.datasets.report import Report
from training.datasets.show import show
from training.datasets.source import PictureRecord, RawDataset, RemoteDataset
from training.datasets.synthetic import ict, ict_pairs, toy

__all__ = ["READERS", "Prepared", "PreparedError", "Report", "prepare", "show"]

READERS: dict[str, Callable[[Path | None], RawDataset | RemoteDataset]] = {
    "affectnet": affectnet.read,
    "ckplus": name_codes.ckplus,
    "fec": fec.read,
    "fer2013": fer2013.read,
    "ferplus": ferplus.read,
    "folder": folder.read,
    "ict": ict.read,
    "ict-pairs": ict_pairs.read,
    "jaffe": name_codes.jaffe,
    "kdef": name_codes.kdef,
    "lfw-emotion": lfw_emotion.read,
    "london": london.read,
    "rafd": rafd.read,
    "rafd-frontal": partial(rafd.read, frontal=True),
    "rafdb": rafdb.read,
    "toy": toy.read,
}
"""Each data set that can be prepared, and its reader."""
REPLACED = (*tables.FILES, "report.md")
"""Files that each run writes again."""
EXPECTED = {"crops", "cache", *fec.FETCHED, *REPLACED}
"""Names that a prepared folder may hold."""


def prepare(
    set_name: str,
    source: Path | None,
    dest: Path,
    *,
    workers: int | None = None,
    options: fec.FecOptions = fec.DEFAULT,
    on_ray: bool = False,
) -> Report:
    """Cut a set's faces into `dest` and write its index, its fixed triplets and a report.

    It may be stopped at any time and run again: crops that exist are not cut again, and what
    was downloaded isn't downloaded again.

    Args:
        set_name: one of `READERS`.
        source: the set's zip or its unpacked folder; None for drawn faces.
        dest: a new folder, or one of an earlier run.
        workers: number of processes that look for faces; all cores by default.
        options: only for fec.
        on_ray: cut in processes of Ray, on this machine or on the cluster at RAY_ADDRESS.

    Raises:
        PreparedError: an unknown set, a wrong source, a folder that holds something else, or one
            that can't be written.
        ClusterError: Ray can't do the work.
    """
    start = time.monotonic()
    set_name = set_name.replace("_", "-")
    _check_outside_source(set_name, source, dest)
    found = _read_source(set_name, source, options)
    with _locked(dest, set_name):
        dataset = found if isinstance(found, RawDataset) else found.fetch(dest)
        crop_all = crop_on_ray if on_ray else _crop_all
        cut = crop_all(_cropper(dataset, dest), dataset.pictures, workers)
        outcomes = drop_leaked_crops(dataset.pictures, cut)
        _write(dataset, outcomes, dest, set_name)
        report = Report(
            name=set_name,
            command=_command(set_name, source, dest, options),
            offered=len(dataset.pictures),
            dropped=_dropped(dataset.pictures, outcomes),
            notes=dataset.notes,
            seconds=time.monotonic() - start,
            summary=show(dest),
        )
        with atomic_write(dest / "report.md") as part:
            part.write_text(report.text, encoding="utf-8")
    return report


def toy_set(runs: Path) -> Prepared:
    """Return the set of drawn faces, prepared once under `runs`.

    Raises:
        PreparedError: `runs` can't be written.
    """
    folder = runs / "toy"
    with writing(runs):
        runs.mkdir(parents=True, exist_ok=True)
        with FileLock(runs / "toy.lock"):
            if not (folder / "index.parquet").exists():
                prepare("toy", None, folder)
    return Prepared.open(folder)


def _command(set_name: str, source: Path | None, dest: Path, options: fec.FecOptions) -> str:
    places = shlex.join([str(source or "-"), str(dest)])
    return f"python -m training prepare {set_name} {places}{options}"


def _check_outside_source(set_name: str, source: Path | None, dest: Path) -> None:
    """Refuse a folder in the source: the next run would read crops as pictures.

    The source of fec holds no pictures.
    """
    if set_name != "fec" and source and source.resolve() in dest.resolve().parents:
        raise PreparedError(
            f"{dest} is inside {source}, the source of {set_name}; name a folder outside it."
        )


def _read_source(
    set_name: str, source: Path | None, options: fec.FecOptions
) -> RawDataset | RemoteDataset:
    reader = READERS.get(set_name)
    if reader is None:
        raise PreparedError(f"There is no set {set_name!r}; choose one of {', '.join(READERS)}.")
    if set_name != "fec" and options != fec.DEFAULT:
        raise PreparedError(f"The set {set_name} takes no{options}; only fec does.")
    try:
        return fec.read(source, options) if set_name == "fec" else reader(source)
    except PreparedError as error:
        if packed := explain_archives(source):
            raise packed from error
        raise


@contextmanager
def _locked(dest: Path, set_name: str) -> Iterator[None]:
    """Lock `dest` for this run and delete what an earlier run made from its crops.

    Raises:
        PreparedError: `dest` holds something else, is locked, or can't be written.
    """
    with writing(dest):
        _check_dest(dest, set_name)
        (dest / "crops").mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(dest / ".lock", timeout=0):
                for file in REPLACED:
                    (dest / file).unlink(missing_ok=True)
                remove_unfinished(dest)
                remove_unfinished(dest / "crops")
                shutil.rmtree(dest / "cache", ignore_errors=True)
                yield
        except Timeout:
            raise PreparedError(f"{dest} is being prepared already; wait for that run.") from None


def _check_dest(dest: Path, set_name: str) -> None:
    if dest.exists() and not dest.is_dir():
        raise PreparedError(f"{dest} is a file; name a new folder.")
    if dest.is_dir() and any(not _is_expected(file) for file in dest.iterdir()):
        raise PreparedError(f"{dest} holds other files; name a new folder.")
    if set_name_of(dest) not in ("", set_name):
        raise PreparedError(f"{dest} holds another prepared set; name a new folder.")


def _is_expected(file: Path) -> bool:
    return file.name in EXPECTED or file.name.startswith(".")


def _cropper(dataset: RawDataset, dest: Path) -> PictureCropper:
    return PictureCropper(
        source=dataset.source,
        folder=dest,
        cropped_margin=dataset.cropped_margin,
        fallback_margin=dataset.fallback_margin,
        central_face=dataset.central_face,
    )


def _crop_all(
    cropper: PictureCropper, pictures: list[PictureRecord], workers: int | None
) -> list[StoredCrop | str]:
    """Return each picture's crop, or why it has none, in order, with a progress bar."""
    count, find_faces = workers or os.cpu_count() or 1, cropper.cropped_margin is None
    try:
        with start_workers(count, find_faces=find_faces) as pool:
            crops = pool.map(cropper, pictures, chunksize=16)
            return list(track(crops, description="crops", total=len(pictures)))
    except BrokenExecutor as error:
        raise PreparedError(
            "A process that looks for faces was killed, most likely because memory ran out. Run "
            "the same command with --workers 1 to continue."
        ) from error


def _dropped(
    pictures: list[PictureRecord], outcomes: list[StoredCrop | str]
) -> dict[str, list[str]]:
    """Return reason -> pictures that have no crop."""
    dropped: dict[str, list[str]] = {}
    for picture, outcome in zip(pictures, outcomes, strict=True):
        if isinstance(outcome, str):
            dropped.setdefault(outcome, []).append(picture.member)
    return dropped


def _write(
    dataset: RawDataset, outcomes: list[StoredCrop | str], dest: Path, set_name: str
) -> None:
    """Write index, triplets, answers and points; delete crops that no row names."""
    crops = [
        (picture, crop)
        for picture, crop in zip(dataset.pictures, outcomes, strict=True)
        if isinstance(crop, StoredCrop)
    ]
    if not crops:
        why = "; ".join(f"{n:,}: {why}" for why, n in Counter(map(str, outcomes)).items())
        raise PreparedError(
            f"None of the pictures of {set_name} could be cropped ({why}); is it the right set?"
        )
    check_splits_disjoint(crops)
    _delete_other_crops(dest, {crop.path for _, crop in crops})
    tables.write(dataset, crops, dest, set_name)


def _delete_other_crops(dest: Path, paths: set[str]) -> None:
    """Delete crops of earlier runs that aren't in `paths`, which are written as in the index."""
    for file in (dest / "crops").iterdir():
        if f"crops/{file.name}" not in paths and read_crop_comment(file):
            file.unlink()
