"""The run card: how a network was trained, as data; card.json among the artifacts of its run."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from registry import versions
from training.engine import tracking
from training.engine.checkpoint import Progress
from training.engine.recipe import Recipe
from training.engine.task import Task, TrainedModel

EARLIER = ("command", "revision", "seed", "minutes", "epochs", "machine", "data")
"""Keys that a card stores for each earlier training."""


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """How a network was trained; plain values that JSON can hold."""

    model: str
    """Name of the registered model; of the recipe if the network is not registered."""
    recipe: str
    command: str
    revision: str | None = None
    """Commit of the code, followed by `-dirty` if the code was changed since."""
    before: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """The trainings that led to the versions this one started from; each with EARLIER's keys."""
    data: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """`name`, `digest` and `training_faces` of each data set."""
    seed: int
    minutes: float
    epochs: int
    steps: int
    machine: str
    torch: str
    crop: Mapping[str, Any]
    labels: Sequence[str] = field(default_factory=list)
    temperature: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    class_prior: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any]
    """Settings that rebuild the network."""
    failures: Sequence[Mapping[str, str]] = field(default_factory=list)
    """Known wrong outputs, each with `picture`, `credit`, `answer` and `truth`."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "RunCard":
        """Return the card from a JSON object; unknown keys are ignored.

        Raises:
            TypeError: something is missing.
        """
        names = [each.name for each in fields(cls)]
        return cls(**{name: values[name] for name in names if name in values})

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain values that JSON can hold."""
        return asdict(self)


def run_card(
    name: str,
    command: str,
    recipe: Recipe,
    task: Task,
    trained: TrainedModel,
    progress: Progress,
) -> RunCard:
    """Return the card of a finished training.

    Args:
        name: name of the recipe.
        command: the command that started the training.
        recipe: the recipe that was trained.
        task: the task that was trained.
        trained: what the task exported.
        progress: progress at the end of the training.
    """
    values = {
        "model": task.spec.name if task.spec else name,
        "recipe": name,
        "command": command,
        "revision": revision(),
        "before": trainings_before(recipe),
        "data": [
            {"name": data.name, "digest": data.digest, "training_faces": len(data.split("train"))}
            for data in task.sets
        ],
        "seed": recipe.seed,
        "minutes": round(progress.seconds / 60, 1),
        "epochs": progress.epoch,
        "steps": progress.step,
        "machine": machine(),
        "torch": torch.__version__.split("+")[0],
        "crop": trained.crop,
        "labels": trained.labels,
        "temperature": trained.temperature,
        "thresholds": trained.thresholds,
        "class_prior": trained.class_prior,
        "config": trained.config,
    }
    return RunCard.read(json.loads(json.dumps(values, default=asdict)))


def trainings_before(recipe: Recipe) -> list[dict[str, Any]]:
    """Return the trainings that led to a recipe's start and to its teachers, each once.

    Raises:
        RegistryError: there is no such version.
    """
    chain: dict[str, dict[str, Any]] = {}
    start = getattr(recipe, "start", None)
    for reference in (*([start] if start else []), *getattr(recipe, "teachers", ())):
        card = tracking.card_of(versions.resolve(reference).run_id)
        for training in [*card.get("before", []), card] if card else []:
            chain[training["command"]] = {key: training[key] for key in EARLIER if key in training}
    return list(chain.values())


def revision() -> str | None:
    """Return the commit of the code, with `-dirty` if it was changed; None without a clone."""
    project = Path(__file__).parents[2]
    if not (project / ".git").exists() or not shutil.which("git"):
        return None
    command = ["git", "-C", str(project), "describe", "--always", "--dirty", "--exclude", "*"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or None


def machine() -> str:
    """Return the GPU, or the CPU and its threads, that the training ran on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"
