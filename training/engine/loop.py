"""The training loop: any task, any number of processes, resumable after each checkpoint."""

import hashlib
import logging
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DataLoaderConfiguration
from rich.console import Console
from torch import Tensor, nn

from registry.console import track
from registry.errors import first_line
from registry.measurements import Measurement, to_rows
from training.engine import precision
from training.engine.checkpoint import Checkpoints, Progress, bytes_of, checkpoint_in, load_weights
from training.engine.compilation import Compilation, mode_of
from training.engine.device import device_of
from training.engine.event_log import EventLog
from training.engine.finite import means, nonfinite_values, nonfinite_weights
from training.engine.networks import TrainingNetworks
from training.engine.recipe import Recipe
from training.engine.run_folder import run_folder
from training.engine.run_start import open_events
from training.engine.task import Batch, NotFinite, Task, TrainingError, Update
from training.engine.tracking import Metric, Tracker

LOG_STEPS = 10
logger = logging.getLogger(__name__)
console = Console(stderr=True)


class Loop:
    """One training, from its start or its last checkpoint to its end.

    Every step draws its random numbers from a seed of its own (run, step, process), and every epoch
    its order, so that a resumed run computes the same numbers as an uninterrupted one.

    Args:
        name: name of the recipe.
        recipe: its references to versions resolved to numbers.
        task: the task to train.
        folder: folder of the checkpoints; by default that of the recipe.
        offline: don't use the store: what it would get is kept in the folder.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        task: Task,
        folder: Path | None = None,
        *,
        offline: bool = False,
    ) -> None:
        self.offline = offline
        self.name = name
        self.recipe = recipe
        self.task = task
        self.checkpoints = Checkpoints(folder or run_folder(name, recipe))
        self.precision = precision.choose(
            recipe.precision, device_of(recipe), self.checkpoints.precision()
        )
        AcceleratorState._reset_state()  # of an earlier training, maybe in another precision
        self.accelerator = Accelerator(
            mixed_precision=self.precision,
            cpu=device_of(recipe) == "cpu",
            dataloader_config=DataLoaderConfiguration(
                use_seedable_sampler=True, data_seed=recipe.seed, non_blocking=True
            ),
        )
        self.recent: dict[str, list[Tensor]] = defaultdict(list)
        self.tracker: Tracker | None = None
        self.events: EventLog | None = None
        self.written = 0
        self.progress = Progress()
        self._prepare()

    def _prepare(self) -> None:
        prepare = self.accelerator.prepare
        torch.manual_seed(self.recipe.seed)
        self.loader = prepare(self.task.loader())
        steps = len(self.loader) * self.recipe.epochs
        networks = self.task.networks
        optimisations = self.task.optimisations(steps)
        self.networks = TrainingNetworks(networks, self.accelerator, self.recipe.averaging)
        mode = mode_of(self.recipe.compile, self.accelerator.device.type)
        self.compilation = Compilation(self.networks.prepared, mode)
        self.optimisers = {name: prepare(o.optimiser) for name, o in optimisations.items()}
        self.schedules = {name: o.schedule for name, o in optimisations.items()}
        self.accelerator.register_for_checkpointing(
            *self.schedules.values(), *self.networks.averages.values()
        )

    def run(self) -> Progress:
        """Train to the end and return the progress.

        Metrics that MLflow does not take are kept; `EventLog.finish` logs them.

        Raises:
            RegistryError: the store doesn't answer at the start.
            TrainingError: a loss or a weight is no longer finite, or a checkpoint can't be
                written or read.
            RecipeError: there is no checkpoint where the recipe resumes from.
        """
        device = self.accelerator.device.type
        self._print(precision.warning(self.precision, self.recipe.precision, device))
        self.progress = self._restore()
        self.progress.precision = self.precision
        if self.accelerator.is_main_process:
            folder, show = self.checkpoints.folder, self._print
            if self.offline:
                self.events = EventLog(folder, None, show)
            else:
                self.events = open_events(self.name, self.task, folder, self.progress, show)
                self.tracker = self.events.tracker
        for key, values in self.progress.recent.items():
            self.recent[key] = [*torch.tensor(values, device=self.accelerator.device)]
        if self.progress.step:
            self._print(
                f"Resuming from step {self.progress.step}, epoch {self.progress.epoch + 1}."
            )
        if not self.task.has_validation():
            self._print(
                "The data has no validation face that can be measured, so no epoch will be "
                "validated."
            )
        self._commit()
        self.clock = time.monotonic()
        while self.progress.epoch < self.recipe.epochs:
            self._epoch()
        return self.progress

    def _restore(self) -> Progress:
        progress = self.checkpoints.load(self.accelerator)
        if progress is None and self.recipe.resume_from:
            progress = load_weights(
                checkpoint_in(self.recipe.resume_from),
                self.networks.prepared,
                list(self.schedules.values()),
                list(self.networks.averages.values()),
            )
        return progress or Progress()

    def _epoch(self) -> None:
        progress = self.progress
        self.networks.set_mode(train=True)
        self.task.begin(progress.epoch)
        loader = self.loader
        loader.set_epoch(progress.epoch)
        if progress.step_in_epoch:
            loader = self.accelerator.skip_first_batches(loader, progress.step_in_epoch)
        for batch in track(
            loader,
            f"epoch {progress.epoch + 1} of {self.recipe.epochs}",
            total=len(self.loader),
            completed=progress.step_in_epoch,
            transient=True,
            disable=not self.accelerator.is_main_process,
        ):
            self.step(batch)
            if progress.step % self.recipe.checkpoint_steps == 0:
                self._check_finite()
                self._checkpoint()
        self._check_finite()
        progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
        self._validate()
        self._checkpoint()

    def step(self, batch: Batch) -> None:
        """Train on one batch of `loader`; every tenth step records the means of the losses."""
        try:
            self._update(batch)
        except Exception as error:
            if not self.compilation.active or isinstance(error, TrainingError):
                raise
            logger.exception("A step of %s failed with torch.compile", self.name)
            self._print(
                f"torch.compile doesn't work here ({first_line(error)}): the training goes on "
                "without, slower. --compile no leaves it out from the start."
            )
            self.compilation.give_up()
            self._update(batch)
        self.networks.update_averages()
        self.progress.step += 1
        self.progress.step_in_epoch += 1
        if self.progress.step % LOG_STEPS == 0:
            self._log_recent()

    def _update(self, batch: Batch) -> None:
        self._seed()
        self.compilation.begin_step()
        for update in self.task.step(self.networks.wrapped, batch):
            self._apply(update)

    def _seed(self) -> None:
        key = f"{self.recipe.seed}/{self.progress.step}/{self.accelerator.process_index}"
        torch.manual_seed(int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big"))

    def _apply(self, update: Update) -> None:
        optimiser = self.optimisers[update.optimiser]
        optimiser.zero_grad()
        self.accelerator.backward(update.loss)
        optimiser.step()
        self.schedules[update.optimiser].step()
        losses = {f"{update.optimiser}_loss": update.loss} | dict(update.metrics)
        for key, value in losses.items():
            self.recent[f"train/{key}"].append(value.detach().float().to(update.loss.device))

    def _log_recent(self) -> None:
        self._require_finite(nonfinite_values(self.recent))
        for key, mean in means(self.recent).items():
            self._record(key, mean)
        self.recent.clear()

    def _check_finite(self) -> None:
        """Raise if a loss or weight isn't finite, before it gets into a checkpoint or version."""
        nonfinite = nonfinite_values(self.recent) + nonfinite_weights(self.networks.wrapped)
        averages = {f"average of {n}": a.module for n, a in self.networks.averages.items()}
        self._require_finite(nonfinite + nonfinite_weights(averages))

    def _require_finite(self, nonfinite: list[str]) -> None:
        """Raise in all processes if one of them has found a value that isn't finite."""
        found = torch.tensor(float(len(nonfinite)), device=self.accelerator.device)
        if not float(self.accelerator.reduce(found, "sum")):
            return
        step, last = self.progress.step, self.checkpoints.latest()
        name = nonfinite[0] if nonfinite else "A loss or weight of another process"
        advice = (
            f"Resume from the last finite checkpoint: add --resume-from {last}"
            if last
            else "There is no checkpoint yet: start again"
        )
        raise NotFinite(
            f"{name} is no longer finite at step {step}. {advice} with a --learning-rate below "
            f"{self.recipe.learning_rate:g}, or with --precision no."
        )

    def _record(self, key: str, value: float) -> None:
        self.progress.pending.append(Metric.now(key, value, self.progress.step))

    def _validate(self) -> None:
        self.networks.set_mode(train=False)
        measurements: list[Measurement] = []
        if self.accelerator.is_main_process and self.task.has_validation():
            with torch.inference_mode(), self.compilation.paused():
                networks = self.networks.for_validation()
                measurements = self.task.validate(networks)
                self._picture(self.task.epoch_sheet(networks))
        self.accelerator.wait_for_everyone()
        self.progress.last = to_rows(measurements)
        for row in measurements:
            self._record(row.name, row.value)
        shown = "  ".join(
            f"{row.name.removeprefix('validation/')} {row.value:.4f}" for row in measurements
        )
        seconds = self.progress.seconds + time.monotonic() - self.clock
        self._print(f"epoch {self.progress.epoch}/{self.recipe.epochs}  {seconds:.0f} s  {shown}")

    def _picture(self, sheet: np.ndarray | None) -> None:
        if self.events and sheet is not None:
            self.events.picture(sheet, f"sheets/epoch-{self.progress.epoch:03}.png")

    def trained_networks(self) -> dict[str, nn.Module]:
        """Return the networks in float32 and without wrappers; they can't be trained after that."""
        return {n: self.compilation.without(m) for n, m in self.networks.for_export().items()}

    def _checkpoint(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.clock
        self.clock = now
        self.progress.recent = {k: torch.stack(vs).tolist() for k, vs in self.recent.items()}
        modules = [*self.networks.prepared, *self.networks.averages.values()]
        state_bytes = bytes_of(modules, self.optimisers.values())
        self.checkpoints.save(self.accelerator, self.progress, state_bytes)
        self._commit()

    def _commit(self) -> None:
        if self.events is None:
            self.progress.pending.clear()
            return
        self.events.add(self.progress.pending[self.written :])
        self.events.send(self.progress.pending)
        self.written = len(self.progress.pending)

    def _print(self, sentence: str | None) -> None:
        if sentence and self.accelerator.is_main_process:
            console.print(sentence, highlight=False)
