"""Samplers by name; each is made from the study alone."""

from __future__ import annotations

from collections.abc import Callable

import optuna

from search.samplers.repeatable import cma_es, gaussian_process, tpe
from search.samplers.sequence import SurrogateSampler
from search.samplers.similarity import SimilarityGreedySampler
from search.samplers.systematic import BeamSampler, ExhaustiveSampler
from search.samplers.uniform import UniformSampler
from spaces.errors import InputError, UnknownNameError
from spaces.study import Study

SAMPLERS: dict[str, Callable[[Study], optuna.samplers.BaseSampler]] = {
    "sequence": SurrogateSampler,
    "random": UniformSampler,
    "exhaustive": ExhaustiveSampler,
    "beam": BeamSampler,
    "similarity_greedy": SimilarityGreedySampler,
    "tpe": tpe,
    "gp": gaussian_process,
    "cmaes": cma_es,
}


def make_sampler(study: Study) -> optuna.samplers.BaseSampler:
    """Return the study's sampler.

    Raises:
        UnknownNameError: ``search.sampler`` names none.
        InputError: CMA-ES with a storage that others may write to.
    """
    name = study.search.sampler
    if name not in SAMPLERS:
        raise UnknownNameError("sampler", name, SAMPLERS, "search.sampler")
    if name == "cmaes" and study.storage.optuna:
        raise InputError(
            "search.sampler: cmaes keeps its state as a pickle in the Optuna storage, and "
            f"{study.storage.optuna!r} may be written by others. Leave storage.optuna out, so that "
            "the storage is the run directory's own, or choose another sampler."
        )
    return SAMPLERS[name](study)
