"""The canonical encoding: sequences and hyperparameters as parameters of Optuna trials.

A sequence is encoded by positions (``stage_1``, ``stage_2``...: a name or ``-``), or, for samplers
of numbers alone, by keys (``key_<name>`` from 0 to 1: those above one half take part, the highest
first; random keys, Bean 1994).
"""

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
_KEY = "key_"

#: Samplers that know numbers only, for which sequences are encoded by keys.
NUMERIC_SAMPLERS = frozenset({"cmaes"})
#: A stage takes part from this key on.
THRESHOLD = 0.5


def search_space(study: Study) -> dict[str, BaseDistribution]:
    """Return the canonical encoding of a study as Optuna distributions.

    ``target`` (unless the objective is the average), the sequence by positions or by keys, and the
    hyperparameters under their own names. Any Optuna sampler works on it.
    """
    space: dict[str, BaseDistribution] = {}
    if study.objective == "per_target":
        space["target"] = CategoricalDistribution([target.name for target in study.targets])
    if study.search.sampler in NUMERIC_SAMPLERS:
        space |= {f"{_KEY}{task}": FloatDistribution(0.0, 1.0) for task in study.space.tasks}
    else:
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


def encode_sequence(sequence: Sequence, study: Study) -> dict[str, str | float]:
    """Return the parameters of a sequence of single-task stages in a study's encoding."""
    if study.search.sampler in NUMERIC_SAMPLERS:
        return encode_by_keys(sequence, study.space.tasks)
    return dict(encode_by_positions(sequence, study.space.max_length))


def encode_by_positions(sequence: Sequence, max_length: int) -> dict[str, str]:
    """Return a sequence by positions.

    >>> encode_by_positions(Sequence.of("b"), 2)
    {'stage_1': 'b', 'stage_2': '-'}
    """
    names = [*sequence.names, *[NO_STAGE] * (max_length - len(sequence))]
    return {f"{_STAGE}{i}": name for i, name in enumerate(names, start=1)}


def encode_by_keys(sequence: Sequence, tasks: tuple[str, ...]) -> dict[str, str | float]:
    """Return a sequence by keys: evenly spread above the threshold, the rest in the middle below.

    >>> encode_by_keys(Sequence.of("b", "a"), ("a", "b", "c"))
    {'key_a': 0.625, 'key_b': 0.875, 'key_c': 0.25}
    """
    width = (1.0 - THRESHOLD) / max(1, len(sequence))
    keys = {name: 1.0 - width * (i + 0.5) for i, name in enumerate(sequence.names)}
    return {f"{_KEY}{task}": keys.get(task, THRESHOLD / 2) for task in tasks}


def decode_sequence(parameters: Mapping[str, Any], max_length: int | None = None) -> Sequence:
    """Return the sequence of some parameters, in whichever encoding.

    By positions, gaps are closed and a repeated task counts once; by keys, equal keys go by name.

    Args:
        parameters: A trial's parameters.
        max_length: Keys may name more stages than a sequence may have: the first ones count.

    >>> str(decode_sequence({"stage_1": "b", "stage_2": "-", "stage_3": "b"}))
    'b'
    >>> str(decode_sequence({"key_a": 0.6, "key_b": 0.9, "key_c": 0.2, "key_d": 0.7}, 2))
    'b>d'
    """
    keys = {
        name.removeprefix(_KEY): value
        for name, value in parameters.items()
        if name.startswith(_KEY)
    }
    if keys:
        chosen = sorted((-key, name) for name, key in keys.items() if key >= THRESHOLD)
        return Sequence.of(*(name for _, name in chosen[:max_length]))
    positions = sorted(
        (int(name.removeprefix(_STAGE)), value)
        for name, value in parameters.items()
        if name.startswith(_STAGE)
    )
    return Sequence.of(*dict.fromkeys(task for _, task in positions if task != NO_STAGE))
