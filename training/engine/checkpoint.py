"""Checkpoints: a killed training resumes from its last one and computes the same numbers."""

import json
import pickle
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.checkpointing import load_accelerator_state, load_custom_state
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from registry.errors import first_line
from registry.store.store_errors import require_space
from training.engine.recipe import RecipeError
from training.engine.task import TrainingError
from training.engine.tracking import Metric

NEWEST = 2
"""Checkpoints that a run keeps."""
BROKEN = (
    *(OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError),
    *(AttributeError, LookupError, TypeError, ValueError),
)
"""Errors that reading a checkpoint raises where its files are incomplete or of another version."""
PROBE_BYTES = 1 << 20
PATTERN = "step-*[0-9]"
REFERENCES, DATA = "references.json", "data.json"
ORIGIN_FILES = (REFERENCES, DATA)
"""Files of a run folder: the versions and the data that the training began with. Each checkpoint
has copies, so that another training can resume from it wherever it lies."""


@dataclass(kw_only=True)
class Progress:
    """How far a training has come.

    `last` are the newest validation measurements, as `registry.measurements.to_rows` makes them,
    `pending` the metrics not yet known to be in MLflow, `recent` the values of the latest steps,
    whose mean is the next metric. `precision` is what the networks compute in.
    """

    run_id: str = ""
    precision: str = ""
    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    last: list[dict[str, Any]] = field(default_factory=list)
    pending: list[Metric] = field(default_factory=list)
    recent: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Progress":
        """Return the progress a checkpoint was written at."""
        stored = json.loads((folder / "progress.json").read_text())
        return cls(**stored | {"pending": [Metric(**metric) for metric in stored["pending"]]})


class Checkpoints:
    """The checkpoints of one run, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def latest(self) -> Path | None:
        """Return the newest complete checkpoint."""
        found = sorted(self.folder.glob(PATTERN))
        return found[-1] if found else None

    def precision(self) -> str:
        """Return the newest checkpoint's precision; empty if there is none, or it is broken."""
        latest = self.latest()
        try:
            return Progress.read(latest).precision if latest else ""
        except BROKEN:  # `load` says so
            return ""

    def save(self, accelerator: Accelerator, progress: Progress, state_bytes: int) -> None:
        """Write the state of all processes; it counts only once it is complete and renamed.

        Args:
            accelerator: holds the state.
            progress: how far the training is.
            state_bytes: of the tensors that will be written; the disk has to have room for twice
                as much.

        Raises:
            TrainingError: it can't be written; earlier checkpoints stay.
        """
        part = self.folder / f"step-{progress.step:09d}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            require_space({self.folder: 2 * state_bytes})
            self._save(accelerator, progress, part)
        except (OSError, SafetensorError, RuntimeError) as error:
            disk_error = _disk_error(part) if isinstance(error, RuntimeError) else None
            reason = first_line(disk_error or error)
            shutil.rmtree(part, ignore_errors=True)
            last = self.latest()
            raise TrainingError(
                f"The checkpoint of step {progress.step} can't be written to {self.folder} "
                f"({reason}); the last one is {last.name if last else 'none'}. "
                "Fix that and run the same command again to resume from there."
            ) from error

    def _save(self, accelerator: Accelerator, progress: Progress, part: Path) -> None:
        target = part.with_suffix("")
        if accelerator.is_main_process:
            shutil.rmtree(part, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(part))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (part / "progress.json").write_text(json.dumps(asdict(progress)))
            for name in ORIGIN_FILES:
                if (self.folder / name).exists():
                    shutil.copy(self.folder / name, part / name)
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
            for old in sorted(self.folder.glob(PATTERN))[:-NEWEST]:
                shutil.rmtree(old)

    def load(self, accelerator: Accelerator) -> Progress | None:
        """Restore the newest checkpoint into the prepared objects; None when there is none.

        Raises:
            TrainingError: it can't be read.
        """
        latest = self.latest()
        if latest is None:
            return None
        try:
            accelerator.load_state(str(latest))
            return Progress.read(latest)
        except BROKEN as error:
            older = sorted(self.folder.glob(PATTERN))[:-1]
            start = f"resumes from {older[-1].name}" if older else "trains from the beginning"
            raise TrainingError(
                f"The checkpoint {latest} is broken ({first_line(error)}): delete that folder; the "
                f"same command then {start}."
            ) from error


def bytes_of(modules: Iterable[nn.Module], optimisers: Iterable[Optimizer]) -> int:
    """Return the size of the tensors in the states of modules and optimisers."""
    tensors = [value for module in modules for value in module.state_dict().values()]
    for optimiser in optimisers:
        values = [value for state in optimiser.state.values() for value in state.values()]
        tensors += [value for value in values if isinstance(value, Tensor)]
    return sum(tensor.nbytes for tensor in tensors)


def _disk_error(folder: Path) -> OSError | None:
    """Return why the newest file of a folder can't grow; None where it can.

    torch's own error for a full disk names no cause.
    """
    try:
        newest = max(folder.glob("*"), key=lambda file: file.stat().st_mtime_ns, default=None)
        if newest:
            with newest.open("ab") as file:
                file.write(bytes(PROBE_BYTES))
    except OSError as error:
        return error
    return None


def checkpoint_in(folder: Path) -> Path:
    """Return the folder itself if it is a checkpoint, or the newest checkpoint in it.

    Raises:
        RecipeError: the folder is no checkpoint and holds none.
    """
    found = folder if (folder / "progress.json").is_file() else Checkpoints(folder).latest()
    if found is None:
        raise RecipeError(
            f"{folder} holds no checkpoint to resume from: name the folder of an unfinished run, "
            "or one of its step- folders."
        )
    return found


def load_weights(
    checkpoint: Path,
    networks: Sequence[nn.Module],
    schedules: Sequence[LRScheduler],
    averages: Sequence[nn.Module],
) -> Progress:
    """Restore weights, averages and progress of another run, and no settings of its optimisers.

    Optimisers start without momentum; schedules resume at the other run's step at their own rates.
    Averages that the other run didn't compute start with the restored weights.

    Args:
        checkpoint: a checkpoint of the other run.
        networks: prepared ones, in the order in which the loop prepares them.
        schedules: in the order in which they are registered for checkpointing.
        averages: registered after the schedules.

    Returns:
        The other run's progress, without its MLflow run.

    Raises:
        RecipeError: the checkpoint is of other networks or is broken.
    """
    try:
        load_accelerator_state(str(checkpoint), list(networks), [], [], [], 0)
        for index, schedule in enumerate(schedules):
            _advance(schedule, checkpoint, index)
        for index, average in enumerate(averages, start=len(schedules)):
            if (checkpoint / f"custom_checkpoint_{index}.pkl").exists():
                load_custom_state(average, str(checkpoint), index)
        progress = Progress.read(checkpoint)
    except BROKEN as error:
        raise RecipeError(
            f"{checkpoint} is a checkpoint of other networks than this recipe's, or is broken "
            f"({first_line(error)}): name another one with --resume-from, or train from the "
            "beginning without it."
        ) from error
    return replace(progress, run_id="", pending=[], recent={})


def _advance(schedule: LRScheduler, checkpoint: Path, index: int) -> None:
    """Advance a schedule to the stored step, keeping its own learning rates."""
    rates = list(schedule.base_lrs)
    load_custom_state(schedule, str(checkpoint), index)
    schedule.base_lrs = rates
    schedule.last_epoch -= 1
    schedule.step()
