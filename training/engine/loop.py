"""The one loop: any task, any number of processes, stopped and resumed at will."""

import hashlib
import json
import math
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from registry.measurements import Measurement, to_rows
from training.engine.checkpoint import Checkpoints, Progress
from training.engine.optimisers import averaging
from training.engine.recipe import Recipe
from training.engine.task import Batch, Task, TrainingError, Update
from training.engine.tracking import RUN_FOLDER, Metric, Tracker

LOG_STEPS = 10
console = Console(stderr=True)


def run_folder(name: str, recipe: Recipe) -> Path:
    """Return where this very recipe keeps its checkpoints: equal recipes share a folder."""
    said = json.dumps(asdict(recipe) | {"runs": ""}, sort_keys=True, default=str)
    return recipe.runs / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:10]}"


class Loop:
    """One training from its first or its last checkpoint to its end.

    Every step draws its random numbers from a seed of its own (run, step, process), and every epoch
    its order, so that going on from a checkpoint gives the numbers of an unbroken run.
    """

    def __init__(self, name: str, recipe: Recipe, task: Task) -> None:
        self.name = name
        self.recipe = recipe
        self.task = task
        self.accelerator = Accelerator(
            mixed_precision=recipe.precision,
            cpu=recipe.device == "cpu",
            dataloader_config=DataLoaderConfiguration(
                use_seedable_sampler=True, data_seed=recipe.seed
            ),
        )
        self.checkpoints = Checkpoints(run_folder(name, recipe))
        self.recent: dict[str, list[Tensor]] = defaultdict(list)
        self._prepare()

    def _prepare(self) -> None:
        prepare = self.accelerator.prepare
        torch.manual_seed(self.recipe.seed)
        self.loader = prepare(self.task.loader())
        steps = len(self.loader) * self.recipe.epochs
        networks = self.task.networks
        self.averages = {name: self._average(network) for name, network in networks.items()}
        optimisations = self.task.optimisations(steps)
        self.networks: dict[str, nn.Module] = {
            name: prepare(network.to(memory_format=torch.channels_last))
            if any(p.requires_grad for p in network.parameters())
            else network.to(self.accelerator.device)
            for name, network in networks.items()
        }
        self.optimisers = {name: prepare(o.optimiser) for name, o in optimisations.items()}
        self.schedules = {name: o.schedule for name, o in optimisations.items()}
        self.accelerator.register_for_checkpointing(*self.schedules.values())
        if self.recipe.averaging:
            self.accelerator.register_for_checkpointing(*self.averages.values())

    def _average(self, network: nn.Module) -> AveragedModel:
        average = averaging(self.recipe.averaging)
        return AveragedModel(
            network, self.accelerator.device, multi_avg_fn=average, use_buffers=True
        )

    def run(self) -> Progress:
        """Train to the end and return the progress, all metrics committed.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        self.progress = self.checkpoints.load(self.accelerator) or Progress()
        self.tracker = self._track() if self.accelerator.is_main_process else None
        for key, values in self.progress.recent.items():
            self.recent[key] = [torch.tensor(value) for value in values]
        if self.progress.step:
            self._say(f"Going on from step {self.progress.step}, epoch {self.progress.epoch + 1}.")
        self._commit()
        self.clock = time.monotonic()
        while self.progress.epoch < self.recipe.epochs:
            self._epoch()
        return self.progress

    def _track(self) -> Tracker:
        spec = self.task.spec
        experiment = spec.name if spec else self.name
        tracker = Tracker(experiment, self.name, self.progress.run_id)
        if not self.progress.run_id:
            tracker.describe(self.name, asdict(self.recipe), self.task.sets)
            tracker.tag(RUN_FOLDER, self.checkpoints.folder.name)
            sheet = self.task.sheet()
            if sheet is not None:
                tracker.picture(sheet, "faces.png")
        self.progress.run_id = tracker.run_id
        return tracker

    def _epoch(self) -> None:
        progress = self.progress
        self._mode(train=True)
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
            console=console,
            transient=True,
            disable=not self.accelerator.is_main_process,
        ):
            self._step(batch)
            if progress.step % self.recipe.checkpoint_steps == 0:
                self._checkpoint()
        progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
        self._validate()
        self._checkpoint()

    def _step(self, batch: Batch) -> None:
        self._seed()
        for update in self.task.step(self.networks, batch):
            self._apply(update)
        if self.recipe.averaging:
            for name, network in self._unwrapped().items():
                self.averages[name].update_parameters(network)
        self.progress.step += 1
        self.progress.step_in_epoch += 1
        if self.progress.step % LOG_STEPS == 0:
            self._log_recent()

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
            self.recent[f"train/{key}"].append(value.detach().float())

    def _log_recent(self) -> None:
        for key, values in self.recent.items():
            mean = float(torch.stack([value.cpu() for value in values]).mean())
            if not math.isfinite(mean):
                raise TrainingError(
                    f"{key} became {mean} by step {self.progress.step}; the last good checkpoint is"
                    f" in {self.checkpoints.folder}. Try a lower --learning-rate or --precision no."
                )
            self._record(key, mean)
        self.recent.clear()

    def _record(self, key: str, value: float) -> None:
        self.progress.pending.append(Metric.now(key, value, self.progress.step))

    def _mode(self, *, train: bool) -> None:
        for network in self.networks.values():
            network.train(train)

    def _validate(self) -> None:
        self._mode(train=False)
        metrics: list[Measurement] = []
        if self.accelerator.is_main_process:
            with torch.inference_mode():
                metrics = self.task.validate(self._judged())
                self._picture(self.task.epoch_sheet(self._judged()))
        self.accelerator.wait_for_everyone()
        self.progress.last = to_rows(metrics)
        for row in metrics:
            self._record(row.name, row.value)
        names = [row.name.removeprefix("validation/") for row in metrics]
        shown = "  ".join(f"{n} {row.value:.4f}" for n, row in zip(names, metrics, strict=True))
        seconds = self.progress.seconds + time.monotonic() - self.clock
        self._say(f"epoch {self.progress.epoch}/{self.recipe.epochs}  {seconds:.0f} s  {shown}")

    def _picture(self, sheet: np.ndarray | None) -> None:
        if self.tracker and sheet is not None:
            self.tracker.picture(sheet, f"sheets/epoch-{self.progress.epoch:03}.png")

    def bare_networks(self) -> dict[str, nn.Module]:
        """Return the networks in float32 and without any wrapper; they train no more after that."""
        return (
            self._averaged() if self.recipe.averaging else self._unwrapped(keep_fp32_wrapper=False)
        )

    def _judged(self) -> dict[str, nn.Module]:
        return self._averaged() if self.recipe.averaging else self._unwrapped()

    def _averaged(self) -> dict[str, nn.Module]:
        return {name: average.module.eval() for name, average in self.averages.items()}

    def _unwrapped(self, *, keep_fp32_wrapper: bool = True) -> dict[str, nn.Module]:
        """Return the networks without the wrappers of several processes.

        Accelerate takes the wrapper of mixed precision off for good: never during training.
        """
        return {
            name: self.accelerator.unwrap_model(network, keep_fp32_wrapper=keep_fp32_wrapper)
            for name, network in self.networks.items()
        }

    def _checkpoint(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.clock
        self.clock = now
        self.progress.recent = {k: [float(v) for v in vs] for k, vs in self.recent.items()}
        self.checkpoints.save(self.accelerator, self.progress)
        self._commit()

    def _commit(self) -> None:
        if self.tracker:
            self.tracker.commit(self.progress.pending)
        self.progress.pending = []

    def _say(self, sentence: str) -> None:
        if self.accelerator.is_main_process:
            console.print(sentence, highlight=False)
