"""Optuna's sampler with a seed for each trial: a stopped sweep goes on with the same numbers."""

import zlib
from typing import TYPE_CHECKING, Any

from training.sweep.trial_states import position

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler, TPESampler
    from optuna.trial import FrozenTrial


def numbered_sampler(seed: int) -> "BaseSampler":
    """Return Optuna's TPE sampler with a seed for each trial, from its position."""
    from optuna.samplers import BaseSampler, TPESampler

    class NumberedSampler(BaseSampler):
        """Draws the same values for a trial whether or not the sweep was stopped before it."""

        def infer_relative_search_space(
            self, study: "Study", trial: "FrozenTrial"
        ) -> dict[str, "BaseDistribution"]:
            return _tpe(study, trial).infer_relative_search_space(study, trial)

        def sample_relative(
            self, study: "Study", trial: "FrozenTrial", search_space: dict[str, "BaseDistribution"]
        ) -> dict[str, Any]:
            return _tpe(study, trial).sample_relative(study, trial, search_space)

        def sample_independent(
            self,
            study: "Study",
            trial: "FrozenTrial",
            param_name: str,
            param_distribution: "BaseDistribution",
        ) -> Any:
            sampler = _tpe(study, trial, param_name)
            return sampler.sample_independent(study, trial, param_name, param_distribution)

    def _tpe(study: "Study", trial: "FrozenTrial", name: str = "") -> "TPESampler":
        key = f"{seed}/{position(study, trial)}/{name}"
        return TPESampler(seed=zlib.crc32(key.encode()))

    return NumberedSampler()
