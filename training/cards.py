"""The card of a trained network: how it came about, so that anyone can make it again."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from training.checkpoint import Progress
from training.config import Recipe
from training.task import Production, Task


def card(
    name: str, command: str, recipe: Recipe, task: Task, production: Production, progress: Progress
) -> dict[str, Any]:
    """Return all that is known about a finished training, ready for JSON."""
    said = {
        "model": task.card.name if task.card else name,
        "recipe": name,
        "command": command,
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
        "metrics": dict(progress.last),
        "crop": asdict(production.crop),
        "labels": list(production.labels),
        "temperature": production.temperature,
        "config": production.config,
    }
    plain: dict[str, Any] = json.loads(json.dumps(said, default=asdict))
    return plain


def machine() -> str:
    """Return what the training ran on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def markdown(card: Mapping[str, Any]) -> str:
    """Return a card as text for people."""
    data = ", ".join(
        f"{d['name']} ({d['training_faces']:,} training faces, digest {d['digest'][:12]})"
        for d in card["data"]
    )
    metrics = "\n".join(f"| {key} | {value:.4f} |" for key, value in card["metrics"].items())
    return f"""{card["model"]}, trained by recipe `{card["recipe"]}`

- Made with `{card["command"]}`, seed {card["seed"]}
- Data: {data}
- Took {card["minutes"]} minutes, {card["epochs"]} epochs, on {card["machine"]}

| metric | value |
|---|---|
{metrics}
"""
