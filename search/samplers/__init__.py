"""Samplers by name; each is made from the study alone."""

from __future__ import annotations

from collections.abc import Callable

import optuna

from search.samplers.surrogate import SurrogateSampler
from search.samplers.uniform import UniformSampler
from spaces.errors import UnknownNameError
from spaces.study import Study

SAMPLERS: dict[str, Callable[[Study], optuna.samplers.BaseSampler]] = {
    "sequence": SurrogateSampler,
    "random": UniformSampler,
    "tpe": lambda study: optuna.samplers.TPESampler(
        seed=study.seed, n_startup_trials=10, multivariate=True, constant_liar=True
    ),
}


def make_sampler(study: Study) -> optuna.samplers.BaseSampler:
    """Return the study's sampler.

    Raises:
        UnknownNameError: ``search.sampler`` names none.
    """
    name = study.search.sampler
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS, "search.sampler")
    return SAMPLERS[name](study)
