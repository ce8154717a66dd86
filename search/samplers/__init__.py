"""Samplers by name; each is made from the study alone."""

from __future__ import annotations

from collections.abc import Callable

import optuna

from search.samplers.sequence import SurrogateSampler
from search.samplers.tpe import RepeatableTPESampler
from search.samplers.uniform import UniformSampler
from spaces.errors import UnknownNameError
from spaces.study import Study

SAMPLERS: dict[str, Callable[[Study], optuna.samplers.BaseSampler]] = {
    "sequence": SurrogateSampler,
    "random": UniformSampler,
    "tpe": RepeatableTPESampler,
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
