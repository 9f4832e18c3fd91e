"""What the trials of a sweep gave: a line for each, a table, JSON, and the run in MLflow."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

from registry import sweeps
from training.sweep import trial_states as states
from training.sweep.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure
    from optuna import Study
    from optuna.trial import FrozenTrial

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """How one trial ended."""

    trial: int
    """Its position, from 0."""
    state: str
    """complete; pruned: worse than half of the earlier ones; failed: a loss was not finite."""
    value: float | None
    """The objective: of a pruned trial its last one, None for a failed one."""
    epochs: int
    seconds: float
    params: dict[str, Any]
    """What was varied."""
    run_id: str
    ended: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return asdict(self) | {"ended": self.ended and self.ended.isoformat(timespec="seconds")}


def results(study: "Study") -> list[TrialResult]:
    """Return how each trial ended, in the order of their positions; others are left out."""
    return [result(study, trial) for trial in states.finished(study)]


def result(study: "Study", trial: "FrozenTrial") -> TrialResult:
    """Return how a trial ended."""
    value, reported = trial.value, trial.intermediate_values
    if value is None and reported:
        value = reported[max(reported)]
    return TrialResult(
        trial=states.position(study, trial),
        state=STATES[trial.state.name],
        value=value if value is not None and math.isfinite(value) else None,
        epochs=max(reported, default=0),
        seconds=float(trial.user_attrs.get(states.SECONDS, 0.0)),
        params=dict(trial.params),
        run_id=trial.user_attrs.get(states.RUN, ""),
        ended=trial.datetime_complete,
    )


def best_result(study: "Study") -> TrialResult | None:
    """Return the result of the best trial; None where none was trained to its end."""
    found = states.best(study)
    return result(study, found) if found else None


def line(result: TrialResult, plan: Plan, best: TrialResult | None) -> str:
    """Return a sentence about a trial that has just ended."""
    number = "no number" if result.value is None else f"{result.value:.4f}"
    leader = f"; best: trial {best.trial}, {best.value:.4f}" if best else ""
    return (
        f"trial {result.trial} of {plan.trials}: {result.state}, {plan.objective.metrics[0]} "
        f"{number}, {result.epochs} epochs, {result.seconds:.0f} s{leader}"
    )


def table(found: Sequence[TrialResult], plan: Plan, best: TrialResult | None) -> Table:
    """Return all trials as a table for a terminal, the best first."""
    sign = -1 if plan.objective.greater_is_better else 1
    drawn = Table(title=f"sweep {plan.name}: {plan.objective.metrics[0]} of the validation")
    for column in ("trial", "state", "value", "epochs", "with"):
        drawn.add_column(column)
    order = sorted(
        found,
        key=lambda each: (each.state != "complete", sign * (each.value or 0.0), each.trial),
    )
    for each in order:
        mark = " *" if best and each.trial == best.trial else ""
        value = "" if each.value is None else f"{each.value:.4f}"
        params = ", ".join(f"{name} {_shown(value)}" for name, value in each.params.items())
        drawn.add_row(f"{each.trial}{mark}", each.state, value, str(each.epochs), params)
    return drawn


def log(plan: Plan, study: "Study") -> None:
    """Log all trials, the best one's values and a picture of the history to the sweep's run.

    Raises:
        Unreachable, Deleted: as for `store.writing`.
    """
    found, best = results(study), best_result(study)
    values = [
        sweeps.TrialValue(
            position=each.trial, value=each.value, ended_ms=int(each.ended.timestamp() * 1000)
        )
        for each in found
        if each.value is not None and each.ended is not None
    ]
    known = {"trial": str(best.trial), "value": str(best.value)} if best else {}
    params = {name: str(value) for name, value in best.params.items()} if best else {}
    history = _history(study, plan) if best else None
    sweeps.log(
        plan.parent_run, plan.objective.metrics[0], values, _columns(found), known | params, history
    )


def _columns(found: Sequence[TrialResult]) -> dict[str, list[object]]:
    rows = [each.to_dict() for each in found]
    rows = [row | {f"params.{k}": v for k, v in row.pop("params").items()} for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _history(study: "Study", plan: Plan) -> "Figure | SubFigure | None":
    """Return Optuna's picture of the objective by trial."""
    import matplotlib as mpl

    mpl.use("Agg")
    from optuna.visualization.matplotlib import plot_optimization_history

    return plot_optimization_history(study, target_name=plan.objective.metrics[0]).get_figure()


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
