"""The canonical encoding: sequences and hyperparameters as parameters of Optuna trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spaces.hyperparameters import Distribution
from spaces.sequences import Sequence
from spaces.study import Study

#: Stands for "no stage at this position".
NO_STAGE = "-"

_STAGE = "stage_"


def search_space(study: Study) -> dict[str, BaseDistribution]:
    """Return the canonical encoding of a study as Optuna distributions.

    ``target`` (unless the objective is the average), ``stage_1`` to ``stage_<max_length>`` (a task
    or ``-``), and the hyperparameters under their own names. Any Optuna sampler works on it.
    """
    space: dict[str, BaseDistribution] = {}
    if study.objective == "per_target":
        space["target"] = CategoricalDistribution([target.name for target in study.targets])
    for position in range(1, study.space.max_length + 1):
        space[f"{_STAGE}{position}"] = CategoricalDistribution([NO_STAGE, *study.space.tasks])
    for name, spec in study.hyperparameters.items():
        if isinstance(spec, Distribution):
            space[name] = _optuna_distribution(spec)
    return space


def _optuna_distribution(spec: Distribution) -> BaseDistribution:
    if spec.uniform is not None:
        return FloatDistribution(*spec.uniform)
    if spec.log_uniform is not None:
        return FloatDistribution(*spec.log_uniform, log=True)
    if spec.int_uniform is not None:
        return IntDistribution(*spec.int_uniform)
    return CategoricalDistribution(list(spec.choice or ()))


def encode_sequence(sequence: Sequence, max_length: int) -> dict[str, str]:
    """Return the parameters of a sequence of single-task stages.

    >>> encode_sequence(Sequence.of("b"), 2)
    {'stage_1': 'b', 'stage_2': '-'}
    """
    names = [*sequence.names, *[NO_STAGE] * (max_length - len(sequence))]
    return {f"{_STAGE}{i}": name for i, name in enumerate(names, start=1)}


def decode_sequence(parameters: Mapping[str, Any]) -> Sequence:
    """Return the sequence of some parameters: gaps are closed, a repeated task counts once.

    >>> str(decode_sequence({"stage_1": "b", "stage_2": "-", "stage_3": "b"}))
    'b'
    """
    positions = sorted(
        (int(name.removeprefix(_STAGE)), value)
        for name, value in parameters.items()
        if name.startswith(_STAGE)
    )
    return Sequence.of(*dict.fromkeys(task for _, task in positions if task != NO_STAGE))
