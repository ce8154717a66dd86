"""Optuna's own samplers over the canonical encoding: they know nothing of sequences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search.samplers.base import draw_seed
from spaces.study import Study

#: Trials that are drawn at random before a sampler has a say; Optuna's own default.
NUM_STARTUP = 10

Make = Callable[[int], optuna.samplers.BaseSampler]


class RepeatableSampler(optuna.samplers.BaseSampler):
    """A sampler whose every draw depends on the study's seed, the trial and the parameter alone.

    Optuna's own draw from one stream, so that an interrupted run would suggest other trials than an
    uninterrupted one. Here each draw has a sampler of its own.

    Args:
        study: The study.
        make: Makes Optuna's sampler from a seed.
    """

    def __init__(self, study: Study, make: Make) -> None:
        self._seed = study.seed
        self._make = make

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that are chosen together."""
        space: dict[str, BaseDistribution] = self._sampler(trial).infer_relative_search_space(
            study, trial
        )
        return space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Choose parameters together."""
        with warnings.catch_warnings():
            # Optuna warns where a sampler falls back to drawing a parameter by itself, as is meant.
            warnings.simplefilter("ignore", UserWarning)
            sampler = self._sampler(trial)
            values: dict[str, Any] = sampler.sample_relative(study, trial, search_space)
        return values

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Choose one parameter by itself."""
        sampler = self._sampler(trial, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do as Optuna's sampler does after a trial."""
        self._sampler(trial).after_trial(study, trial, state, values)

    def _sampler(self, trial: FrozenTrial, param_name: str = "") -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            # Some options, and the Gaussian process, are what Optuna calls experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return self._make(draw_seed(self._seed, trial.number, param_name))


def tpe(study: Study, num_startup: int = NUM_STARTUP) -> RepeatableSampler:
    """Return the tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return RepeatableSampler(
        study,
        lambda seed: optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=num_startup, multivariate=True, constant_liar=True
        ),
    )


def gaussian_process(study: Study, num_startup: int = NUM_STARTUP) -> RepeatableSampler:
    """Return Optuna's Gaussian process sampler, a Matern kernel on the parameters."""
    return RepeatableSampler(
        study,
        lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=num_startup),
    )


def cma_es(study: Study, num_startup: int = NUM_STARTUP) -> RepeatableSampler:
    """Return CMA-ES (Hansen and Ostermeier 2001), over the encoding by keys."""
    return RepeatableSampler(
        study,
        lambda seed: optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=num_startup, warn_independent_sampling=False
        ),
    )
