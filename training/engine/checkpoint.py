"""Checkpoints that a killed training goes on from as if nothing had happened."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from training.engine.tracking import Metric

KEEP = 2


@dataclass(kw_only=True)
class Progress:
    """How far a training has come.

    `last` are the newest validation metrics, `pending` those not yet known to be in MLflow,
    `recent` the values of the latest steps, which the next metric is the mean of.
    """

    run_id: str = ""
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
        found = sorted(self.folder.glob("step-*[0-9]"))
        return found[-1] if found else None

    def save(self, accelerator: Accelerator, progress: Progress) -> None:
        """Write the state of all processes; it counts only once it is complete and renamed."""
        target = self.folder / f"step-{progress.step:09d}"
        part = self.folder / f"{target.name}.part"
        if accelerator.is_main_process:
            shutil.rmtree(part, ignore_errors=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(part))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (part / "progress.json").write_text(json.dumps(asdict(progress)))
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
            for old in sorted(self.folder.glob("step-*[0-9]"))[:-KEEP]:
                shutil.rmtree(old)

    def load(self, accelerator: Accelerator) -> Progress | None:
        """Restore the newest checkpoint into the prepared objects; None when there is none."""
        latest = self.latest()
        if latest is None:
            return None
        accelerator.load_state(str(latest))
        return Progress.read(latest)

    def discard(self) -> None:
        """Remove the folder: the run is finished and registered."""
        shutil.rmtree(self.folder, ignore_errors=True)
