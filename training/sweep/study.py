"""A sweep's study in Optuna: its storage, and the lock of those who take trials from it."""

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from registry.addresses import without_userinfo
from registry.errors import first_line
from training.engine.recipe import RecipeError
from training.sweep.plan import Plan
from training.sweep.sampler import numbered_sampler

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage

logger = logging.getLogger(__name__)
MISSING = "A sweep needs Optuna: install it with `uv pip install -e '.[sweep]'`."
SETTINGS, PARENT = "settings", "parent_run"
"""User attributes of a study: what all calls of the sweep agree on, and its MLflow run."""
COMPARED_TRIALS = 4
"""No trial is pruned before so many have finished."""


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        RecipeError: it isn't.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise RecipeError(MISSING) from error


def open_study(plan: Plan) -> "Study":
    """Open the study of a sweep; it is made where there is none.

    Raises:
        RecipeError: the storage can't be used, or the sweep of this name has other settings.
    """
    import optuna
    from optuna.exceptions import ExperimentalWarning

    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with storing(plan), _drivers(plan):
        study = optuna.create_study(
            study_name=plan.name,
            storage=_storage(plan),
            sampler=numbered_sampler(plan.recipe.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=COMPARED_TRIALS),
            direction="maximize" if plan.objective.greater_is_better else "minimize",
            load_if_exists=True,
        )
        known = study.user_attrs.get(SETTINGS)
        if known is None:
            study.set_user_attr(SETTINGS, plan.settings)
    _require_same(plan, known or plan.settings)
    return study


@contextmanager
def storing(plan: Plan) -> Iterator[None]:
    """Turn a failure of the storage into one sentence.

    Raises:
        RecipeError: it can't be reached, read or written.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise RecipeError(
            f"The storage of the sweep, {without_userinfo(plan.storage)}, can't be used "
            f"({first_line(error.__cause__ or error)}): mend that and run the same command again."
        ) from error


@contextmanager
def _drivers(plan: Plan) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise RecipeError(
            f"The storage {without_userinfo(plan.storage)} needs psycopg: install it with "
            "`uv pip install -e '.[server]'`."
        ) from error


def _storage(plan: Plan) -> "RDBStorage":
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
    from sqlalchemy.exc import SQLAlchemyError

    class Storage(RDBStorage):
        """One whose heartbeats survive a short outage: Optuna's thread would end at the first."""

        def record_heartbeat(self, trial_id: int) -> None:
            try:
                super().record_heartbeat(trial_id)
            except (StorageInternalError, SQLAlchemyError):
                logger.warning("The storage of the sweep doesn't answer.", exc_info=True)

    local = plan.storage.startswith("sqlite:")
    if local:
        plan.recipe.runs.mkdir(parents=True, exist_ok=True)
    return Storage(
        plan.storage,
        engine_kwargs={"connect_args": {"timeout": 60}} if local else {"pool_pre_ping": True},
        heartbeat_interval=max(1, plan.stale_seconds // 6),
        grace_period=plan.stale_seconds,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
            inherit_intermediate_values=True
        ),
    )


def _require_same(plan: Plan, known: dict[str, Any]) -> None:
    now = plan.settings
    parts = [
        name
        for part in now
        for name in now[part].keys() | known[part].keys()
        if now[part].get(name) != known[part].get(name)
    ]
    if parts:
        raise RecipeError(
            f"The sweep {plan.name} was begun with other settings ({', '.join(sorted(parts))}): "
            "give this one another --name, or repeat the earlier command to continue that one."
        )


@contextmanager
def lock(plan: Plan) -> Iterator[None]:
    """Let one process at a time, on any machine, decide which trial comes next."""
    if plan.storage.startswith("sqlite:"):
        with FileLock(plan.recipe.runs / f"{plan.name}.lock"):
            yield
        return
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    key = {"key": zlib.crc32(plan.name.encode())}
    with create_engine(plan.storage, poolclass=NullPool).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
        yield  # the lock ends with the connection
