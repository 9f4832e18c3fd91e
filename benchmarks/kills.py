"""Work that is killed midway, done once more, and compared with work that nobody killed.

Each kind of work runs in a process of its own, forked from one that has imported everything, and
is ended by SIGKILL at a time spread over how long the whole takes.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from registry import store, versions
from registry.catalog import DLN
from registry.crops import CropSpec

PRELOADED = ["mlflow", "torch", "app", "training.__main__", "training.train", "training.seed"]
CROP = CropSpec(size_px=32, margin=0.1)
TOY, FACES = ("toy", "-"), "toy-faces"
TRAIN = (
    *("train", "dln-smoke", "--epochs", "2", "--batch-size", "24", "--checkpoint-steps", "2"),
    *("--precision", "no"),
)
"""The shortest training that stores checkpoints and registers a version."""
LONGEST_SECONDS = 900
OURS = "expression-studio-"
"""How the names of our temporary folders begin; MLflow's own begin otherwise and may be left."""


class Broken(AssertionError):
    """What a kill left differs from what it should; the message names it."""


@dataclass(frozen=True)
class Kind:
    """A kind of work.

    Attributes:
        name: What it is called.
        prepare: Makes what the work needs in a folder.
        work: Does it in a folder; done again, it goes on with what is there.
        compare: Raises Broken where a folder that saw kills differs from one that saw none.
        resumes: Whether it goes on where it was killed, instead of beginning again.
    """

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path], None]
    compare: Callable[[Path, Path], None]
    resumes: bool = True


def nothing(_folder: Path) -> None:
    """Prepare nothing."""


def seed(_folder: Path) -> None:
    """Register the starters."""
    import app

    if not app.seed():
        raise SystemExit(1)


def train(folder: Path) -> None:
    """Train on drawn faces and register a version."""
    import training.__main__

    if training.__main__.main([*TRAIN, "--runs", str(folder / "runs")]):
        raise SystemExit(1)


def prepare_faces(folder: Path) -> None:
    """Prepare a set of drawn faces."""
    import training.__main__

    if training.__main__.main(["prepare", *TOY, str(folder / FACES), "--workers", "1"]):
        raise SystemExit(1)


def register(_folder: Path) -> None:
    """Register a version of a small network."""
    client = store.connect()
    run = client.create_run(store.experiment(DLN.name))
    versions.register(
        DLN, SmallNetwork(), crop=CROP, run_id=run.info.run_id, config={}, description="Small."
    )


def register_two(folder: Path) -> None:
    """Register two versions, the first in production."""
    from registry import promotion

    register(folder)
    register(folder)
    promotion.promote(DLN.name, 1)


def promote(_folder: Path) -> None:
    """Move the alias from the first version to the second and back, and leave it at the second."""
    from registry import promotion

    for number in (2, 1, 2):
        promotion.promote(DLN.name, number)


class SmallNetwork(torch.nn.Module):
    """A network with the outputs of a dln, and weights that are always the same."""

    def __init__(self) -> None:
        super().__init__()
        maps = torch.linspace(-1, 1, 192 * 24).sin().unflatten(0, (192, 24))
        self.maps = torch.nn.Parameter(maps)

    def forward(self, faces: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return outputs for faces, batch 3 h w in [0, 1]."""
        outputs = torch.nn.functional.adaptive_avg_pool2d(faces, 8).flatten(1) @ self.maps
        expression, identity = outputs.split((16, 8), 1)
        normalize = torch.nn.functional.normalize
        return {"expression": normalize(expression), "identity": normalize(identity)}


def compare_registries(killed: Path, whole: Path) -> None:
    """Check that a registry has the versions of another, one for one, complete, equal weights."""
    found, expected = (_versions(folder) for folder in (killed, whole))
    with in_store(killed):
        if incomplete := [each.title for each in versions.list_versions() if each.without_pt2]:
            raise Broken(f"{incomplete} have no graph for PyTorch.")
    if found.keys() != expected.keys():
        raise Broken(f"There are the versions {[*found]} instead of {[*expected]}.")
    for name, weights in expected.items():
        for key, value in weights.items():
            if not torch.equal(found[name][key], value):
                raise Broken(f"{key} of {name} differs.")


def compare_each_version(killed: Path, whole: Path) -> None:
    """Check that all versions of a registry, of which kills may have left more, are whole."""
    found, (expected, *_) = _versions(killed), _versions(whole).values()
    for name, weights in found.items():
        if weights.keys() != expected.keys() or not torch.equal(weights["maps"], expected["maps"]):
            raise Broken(f"{name} is not whole.")
    if not found:
        raise Broken("There is no version.")


def compare_aliases(killed: Path, whole: Path) -> None:
    """Check that the alias is where the last move left it, and that nothing was registered."""
    compare_registries(killed, whole)
    with in_store(killed):
        number = versions.resolve(f"{DLN.name}@production").number
    if number != 2:
        raise Broken(f"Version {number} is in production instead of 2.")


def compare_prepared(killed: Path, whole: Path) -> None:
    """Check that a prepared set equals another and that no unfinished file is in it."""
    from training.datasets.prepared import Prepared

    digests = [Prepared.open(folder / FACES).digest for folder in (killed, whole)]
    if digests[0] != digests[1]:
        raise Broken("The prepared set differs.")
    if left := [path.name for path in (killed / FACES).rglob(".part-*")]:
        raise Broken(f"{left} are left.")


SEEDING = Kind("seeding", nothing, seed, compare_registries)
TRAINING = Kind("training", nothing, train, compare_registries)
REGISTERING = Kind("registering", nothing, register, compare_each_version, resumes=False)
PROMOTING = Kind("promoting", register_two, promote, compare_aliases, resumes=False)
PREPARING = Kind("prepare", nothing, prepare_faces, compare_prepared)
KINDS = (TRAINING, REGISTERING, PROMOTING, PREPARING)


def kill_and_repeat(kind: Kind, folder: Path, empty_store: Path, kills: int) -> int:
    """Kill work some times, finish it, compare it with unkilled work; return how many kills hit.

    Args:
        kind: The work.
        folder: An empty folder for all of it.
        empty_store: A migrated database, so that the work doesn't begin with migrating one.
        kills: How many times to kill it; a kill that comes too late to hit ends the series.

    Raises:
        Broken: What the kills left differs.
    """
    whole, killed = folder / "whole", folder / "killed"
    for each in (whole, killed):
        (each / "store").mkdir(parents=True)
        (each / "tmp").mkdir()
        shutil.copy(empty_store, each / "store" / "mlflow.db")
        finish(kind.prepare, each)
    started = time.monotonic()
    finish(kind.work, whole)
    seconds = time.monotonic() - started
    hit = 0
    for number in range(kills):
        share = 1 / (kills + 1) if kind.resumes else (number + 0.5) / kills
        if run(kind.work, killed, share * seconds) is not None:
            break  # it came to its end, and would begin a second time
        hit += 1
    else:
        finish(kind.work, killed)
    kind.compare(killed, whole)
    if left := [path.name for path in (killed / "tmp").glob(f"{OURS}*")]:
        raise Broken(f"{left} are left in the temporary folder.")
    return hit


def finish(work: Callable[[Path], None], folder: Path) -> None:
    """Do work to its end.

    Raises:
        Broken: It fails.
    """
    status = run(work, folder, LONGEST_SECONDS)
    if status != 0:
        printed = (folder / "output").read_text(encoding="utf-8", errors="replace")
        raise Broken(f"{work.__name__} ended with {status}: {printed[-2000:]}")


def run(work: Callable[[Path], None], folder: Path, seconds: float) -> int | None:
    """Do work in a process of its own, killed after some seconds.

    Returns:
        Its exit status, or None where it was killed.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    process = processes.Process(target=_work, args=(work, folder))
    process.start()
    process.join(seconds)
    if process.exitcode is not None:
        return process.exitcode
    process.kill()
    process.join()
    return None


def _work(work: Callable[[Path], None], folder: Path) -> None:
    """Do work in this process, with a store of its own; what it prints goes to a file."""
    torch.set_num_threads(1)
    tempfile.tempdir = str(folder / "tmp")
    os.environ["EXPRESSION_STUDIO_STORE"] = str(folder / "store")
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(output, descriptor)
    work(folder)


@contextmanager
def in_store(folder: Path) -> Iterator[None]:
    """Use the store of a folder until the block ends."""
    before = os.environ.get("EXPRESSION_STUDIO_STORE")
    os.environ["EXPRESSION_STUDIO_STORE"] = str(folder / "store")
    try:
        yield
    finally:
        if before is None:
            del os.environ["EXPRESSION_STUDIO_STORE"]
        else:
            os.environ["EXPRESSION_STUDIO_STORE"] = before


def _versions(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Return the weights of all versions of a registry by name and number."""
    with in_store(folder):
        return {
            version.title: versions.weights(f"{version.name}/{version.number}")
            for version in versions.list_versions()
        }
