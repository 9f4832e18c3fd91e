"""The gates of a promotion: how much worse a version may be by which metric.

A table of the team replaces ours.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import store
from registry.errors import BadVersion

FILE = "gates.toml"
DEFAULT = Path(__file__).with_name(FILE)
FIELDS = {
    "margin": (int, float),
    "margin_by_group": (int, float),
    "most_times": (int, float),
    "greater_is_better": (bool,),
}
"""The keys of a metric and the types of their values."""
RATIOS = ("latency_ms", "size_mb")
"""The metrics that are compared by their ratio."""


class BadGates(BadVersion):
    """A table of gates that can't be read, in a sentence that says what to do."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How much worse than the version in production a version may be by one metric."""

    margin: float | None = None
    """Largest difference, over all items of a set; None: these are not compared."""
    margin_by_group: float | None = None
    """Largest difference over the items of a group; None: these are not compared."""
    most_times: float | None = None
    """Largest ratio, in place of a difference."""
    greater_is_better: bool = True

    def margin_of(self, group: str) -> float | None:
        """Return the margin for a group, or for all items where the group is empty."""
        return self.margin_by_group if group else self.margin


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The gates of one model."""

    primary: tuple[str, ...]
    """The metrics that decide: of each data set the first that was measured."""
    metrics: Mapping[str, Gate]


def file() -> Path:
    """Return the table in use: gates.toml of the local store's folder if it is there, else ours.

    An empty one is none: the shell makes it before `registry gates > gates.toml` can write it.
    """
    folder = store.folder()
    own = folder / FILE if folder else None
    return own if own is not None and own.exists() and own.stat().st_size else DEFAULT


def read(name: str, path: Path | None = None) -> Gates:
    """Return the gates of a model.

    Args:
        name: the model.
        path: the table; by default that of `file`.

    Raises:
        BadGates: it can't be read, or has no gates of this model.
    """
    own, path = path, path or file()
    model = _table(path).get(name)
    if model is None and own is None:  # a team's table may hold some models alone
        model = _table(DEFAULT).get(name)
    try:
        if not isinstance(model, dict):
            raise ValueError(f"it has no table [{name}]")
        gates = Gates(primary=_primary(name, model), metrics=_metrics(name, model))
        for metric in gates.primary:
            if metric not in gates.metrics or gates.metrics[metric].margin is None:
                raise ValueError(f"the primary metric {metric} of {name} has no margin")
    except ValueError as error:
        raise BadGates(f"{path} is no table of gates: {error}.") from error
    return gates


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadGates(f"{path} can't be read ({error}): correct it, or remove it.") from error


def _primary(name: str, model: Mapping[str, Any]) -> tuple[str, ...]:
    primary = model.get("primary")
    if not isinstance(primary, list) or not primary or not all(isinstance(m, str) for m in primary):
        raise ValueError(f"primary of {name} must be a list of metrics")
    return tuple(primary)


def _metrics(name: str, model: Mapping[str, Any]) -> dict[str, Gate]:
    metrics = model.get("metrics")
    if not isinstance(metrics, dict) or set(model) != {"primary", "metrics"}:
        raise ValueError(f"[{name}] must hold primary and [{name}.metrics], and nothing else")
    for metric in metrics:
        if metric not in known_metrics():
            known = ", ".join(sorted(known_metrics()))
            raise ValueError(f"{name}.metrics has an unknown metric {metric}; known are {known}")
    return {
        metric: _gate(f"{name}.metrics.{metric}", values, metric in RATIOS)
        for metric, values in metrics.items()
    }


def known_metrics() -> set[str]:
    """Return the names of all metrics that versions are compared by."""
    from registry.metrics import faces, paired

    of_items = (*paired.SHARES.values(), *paired.AREAS.values(), *paired.TRANSFER_METRICS)
    return {*of_items, *faces.FACE_METRICS, "recall", "robustness", *RATIOS}


def _gate(where: str, values: Any, is_ratio: bool) -> Gate:
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be like {{ margin = 0.02, greater_is_better = true }}")
    for key, value in values.items():
        if key not in FIELDS:
            raise ValueError(f"{where} has an unknown key {key}; known are {', '.join(FIELDS)}")
        if type(value) not in FIELDS[key]:
            raise ValueError(f"{key} of {where} is {value!r}")
        if not isinstance(value, bool) and not 0 <= value < float("inf"):
            raise ValueError(f"{key} of {where} is {value!r}, which is no number from 0")
    _check_kind(where, set(values), is_ratio)
    known: dict[str, Any] = {
        key: value if isinstance(value, bool) else float(value) for key, value in values.items()
    }
    return Gate(**known)


def _check_kind(where: str, keys: set[str], is_ratio: bool) -> None:
    """Raise ValueError unless the keys are those of a ratio, or of a difference."""
    if is_ratio != ("most_times" in keys) or (is_ratio and len(keys) > 1):
        expected = "most_times alone" if is_ratio else "margins and no most_times"
        raise ValueError(f"{where} takes {expected}")
    if not is_ratio and not {"margin", "margin_by_group"} & keys:
        raise ValueError(f"{where} has no margin")
    if not is_ratio and "greater_is_better" not in keys:
        raise ValueError(f"{where} doesn't say whether greater_is_better")
