"""The card of a trained network: what it is for, how it came about, how good it is.

One form for all, after Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from registry import entries, versions
from registry.catalog import CATALOG
from registry.measurements import from_rows
from registry.versions import Version
from training.cards.tables import by_group, overall
from training.cards.text import CONFIGURED, LICENCES, MISUSE, TEXTS, UNKNOWN_LICENCE
from training.engine import tracking
from training.engine.checkpoint import Progress
from training.engine.recipe import Recipe
from training.engine.task import Task, TrainedModel

HEADINGS = (
    "What it is",
    "Intended use",
    "Misuse",
    "Data",
    "How it was made",
    "Results",
    "Results by group",
    "Known failures",
    "Our decisions",
)
LONGEST = 5000
"""Letters that MLflow keeps of a description in a database that counts them."""
TRAIN = "python -m training train "
HANDED_ON = ("command", "revision", "seed", "minutes", "epochs", "machine", "data")
"""What a card keeps of the trainings before its own."""
ELSEWHERE = "Validation and latency are left out for want of room; the run has them."
SHORTEST = "Validation, latency and robustness are left out for want of room; the run has them."


def card(
    name: str,
    command: str,
    recipe: Recipe,
    task: Task,
    trained: TrainedModel,
    progress: Progress,
) -> dict[str, Any]:
    """Return all that is known about a finished training, ready for JSON."""
    said = {
        "model": task.spec.name if task.spec else name,
        "recipe": name,
        "command": command,
        "revision": revision(),
        "before": _before(recipe),
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
        "metrics": {row.name: row.value for row in from_rows(progress.last)},
        "crop": asdict(trained.crop),
        "labels": list(trained.labels),
        "temperature": trained.temperature,
        "thresholds": trained.thresholds,
        "config": trained.config,
    }
    plain: dict[str, Any] = json.loads(json.dumps(said, default=asdict))
    return plain


def _before(recipe: Recipe) -> list[dict[str, Any]]:
    """Return the trainings that led to the versions this one learned from, first to last."""
    chain: dict[str, dict[str, Any]] = {}
    for reference in (getattr(recipe, "start", None), getattr(recipe, "teacher", None)):
        said = _card_of_version(reference) if isinstance(reference, str) else None
        for each in [*said.get("before", []), said] if said else []:
            chain[each["command"]] = {key: each[key] for key in HANDED_ON if key in each}
    return list(chain.values())


def _card_of_version(reference: str) -> dict[str, Any] | None:
    return tracking.card_of(versions.resolve(reference).run_id)


def revision() -> str | None:
    """Return the commit of the code, with a word if it was changed since; None without a clone."""
    project = Path(__file__).parents[2]
    if not (project / ".git").exists() or not shutil.which("git"):
        return None
    asked = ["git", "-C", str(project), "describe", "--always", "--dirty", "--exclude", "*"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.strip() or None


def machine() -> str:
    """Return what the training ran on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def markdown(card: Mapping[str, Any]) -> str:
    """Return a card as text for people, at most 5,000 letters under the headings of `HEADINGS`.

    Args:
        card: as `card` returns it. It may have `failures`, each with `picture`, `credit`, `answer`
            and `truth`.
    """
    model = card["model"]
    text = TEXTS[model]
    head = f"{CATALOG[model].title}, trained by recipe `{card['recipe']}`"
    bodies = {
        "What it is": text.what,
        "Intended use": _bullets(text.uses),
        "Misuse": _bullets([*text.misuse, *MISUSE, "More in docs/ethics.md."]),
        "Data": _bullets([_set(data) for data in card["data"]]),
        "How it was made": _made(card),
        "Known failures": _bullets([*text.failures, *map(_failure, card.get("failures", ()))]),
        "Our decisions": _bullets([*text.decisions, *_configured(card["config"])]),
    }
    return _written(head, bodies, model, card["metrics"])


def refresh(version: Version) -> None:
    """Write all that was measured of a version by now into its card, MLflow's description.

    A description that isn't in our form is somebody's own and stays.

    Raises:
        Unreachable: the store does not answer.
    """
    head, *parts = re.split(r"^## ", versions.card(version), flags=re.MULTILINE)
    bodies = {title: body.strip() for title, _, body in (part.partition("\n") for part in parts)}
    if tuple(bodies) == HEADINGS and version.name in TEXTS:
        metrics = tracking.metrics_of(version.run_id)
        entries.describe(version, _written(head.strip(), bodies, version.name, metrics))


def _written(head: str, bodies: Mapping[str, str], model: str, metrics: Mapping[str, float]) -> str:
    """Put a card together with all results, or with fewer if it gets too long."""
    tested = {key: value for key, value in metrics.items() if key.startswith("test/")}
    few = {key: value for key, value in tested.items() if "/robustness/" not in key}
    text = ""
    for shown, note in ((metrics, ""), (tested, ELSEWHERE), (few, SHORTEST)):
        results = [TEXTS[model].protocol, note, overall(shown) or "Nothing was measured yet."]
        said = {
            **bodies,
            "Results": "\n\n".join(filter(None, results)),
            "Results by group": by_group(shown) or "No group was measured by itself yet.",
        }
        text = "\n\n".join([head, *(f"## {title}\n\n{said[title]}" for title in HEADINGS)]) + "\n"
        if len(text) <= LONGEST:
            return text
    return f"{text[: LONGEST - 2]}…\n"


def _set(data: Mapping[str, Any]) -> str:
    licence = LICENCES.get(data["name"], UNKNOWN_LICENCE)
    return f"{data['name']}, {data['training_faces']:,} training faces: {licence}."


def _made(card: Mapping[str, Any]) -> str:
    """Say each training in turn, where this one started from another's weights."""
    trainings = [*card.get("before", ()), card]
    machines = list(dict.fromkeys(each["machine"] for each in trainings))
    lines = [
        f"`{each['command'].removeprefix(TRAIN)}`: {_commit(each)}seed {each['seed']}, "
        f"{each['epochs']} epochs, "
        f"{each['minutes']} minutes" + (f", {each['machine']}." if len(machines) > 1 else ".")
        for each in trainings
    ]
    where = f" on {machines[0]}" if len(machines) == 1 else ""
    turns = ", in turn; versions are numbered as in the registry of then" if lines[1:] else ""
    return f"By `{TRAIN.strip()}`{where}{turns}:\n\n{_bullets(lines)}"


def _commit(training: Mapping[str, Any]) -> str:
    return f"commit {training['revision']}, " if training.get("revision") else ""


def _failure(shown: Mapping[str, str]) -> str:
    """Name a picture that may be shown and what is wrong with the answer to it."""
    told = f"answered {shown['answer']}, the truth is {shown['truth']}"
    return f"`{shown['picture']}` ({shown['credit']}): {told}."


def _configured(config: Mapping[str, Any]) -> list[str]:
    network = config["network"]
    said = {**config, **network, "backbone": network.get("backbone", {}).get("name")}
    return [line for (key, value), line in CONFIGURED.items() if said.get(key) == value]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
