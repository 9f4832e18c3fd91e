"""What a training folder says of its training, so that it can be registered later."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from registry.files import atomic_write

FILE, CARD = "training.json", "card.json"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The command of a training, and how far it is."""

    command: str
    folder: str
    """The folder in which the command was typed: paths in it are relative to that."""
    identifier: str
    """Tag of its MLflow run, by which the run is found again."""
    is_finished: bool = False


def read(folder: Path) -> Origin | None:
    """Return what a folder says of its training; None where it holds none."""
    try:
        return Origin(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return None


def begin(folder: Path, command: str) -> Origin:
    """Write the origin of a training that begins or resumes, and return it."""
    origin = read(folder) or Origin(
        command=command, folder=str(Path.cwd()), identifier=uuid.uuid4().hex
    )
    _write(folder / FILE, asdict(origin))
    return origin


def finish(folder: Path) -> None:
    """Write that a training is finished: all that is missing is its registration."""
    origin = read(folder)
    if origin is not None:
        _write(folder / FILE, asdict(replace(origin, is_finished=True)))


def card(folder: Path) -> Mapping[str, Any] | None:
    """Return the run card of a finished training; None where it has none yet."""
    path = folder / CARD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_card(folder: Path, values: Mapping[str, Any]) -> None:
    """Keep the run card of a finished training in its folder."""
    _write(folder / CARD, values)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_write(path) as part:
        part.write_text(json.dumps(values, indent=1), encoding="utf-8")
