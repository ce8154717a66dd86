"""Optuna's TPE over the canonical encoding, for comparison; it knows nothing of sequences."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.samplers.base import draw_seed
from spaces.study import Study

#: Optuna's own default.
NUM_STARTUP = 10


class RepeatableTPESampler(optuna.samplers.BaseSampler):
    """TPE whose every draw depends on the study's seed, the trial's number and the parameter.

    Optuna's own draws from one stream, so that an interrupted run would suggest other trials than
    an uninterrupted one. Here each draw has a TPE sampler of its own.

    Args:
        study: The study.
        num_startup: Trials that are drawn at random before TPE has a say.
    """

    def __init__(self, study: Study, num_startup: int = NUM_STARTUP) -> None:
        self._seed = study.seed
        self._num_startup = num_startup

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are chosen together."""
        space: dict[str, BaseDistribution] = self._tpe(trial).infer_relative_search_space(
            study, trial
        )
        return space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Choose parameters together."""
        values: dict[str, Any] = self._tpe(trial).sample_relative(study, trial, search_space)
        return values

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Choose one parameter by itself."""
        tpe = self._tpe(trial, param_name)
        return tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do as TPE does after a trial."""
        self._tpe(trial).after_trial(study, trial, state, values)

    def _tpe(self, trial: FrozenTrial, param_name: str = "") -> Any:
        with warnings.catch_warnings():
            # Optuna 4 calls both options experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=draw_seed(self._seed, trial.number, param_name),
                n_startup_trials=self._num_startup,
                multivariate=True,
                constant_liar=True,
            )
