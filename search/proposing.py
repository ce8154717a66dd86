"""What a sampler's suggestion stands for: the trials of one sequence, on one target or on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from search.asha import bracket_of
from search.encoding import decode_sequence
from search.phases import together
from search.trials import Proposal
from spaces.study import Study


def proposals_of(study: Study, number: int, parameters: Mapping[str, Any]) -> list[Proposal]:
    """Return the trials of one suggestion.

    Args:
        study: The study.
        number: Number of the suggested trial; names the group and decides the bracket.
        parameters: What the sampler answered, in the canonical encoding.
    """
    sequence = decode_sequence(parameters, study.space.max_length)
    values = {name: parameters[name] for name in study.hyperparameters if name in parameters}
    return [
        replace(proposal, bracket=_bracket(study, number))
        for proposal in together(study, sequence, "search", f"g{number}", values)
        if parameters.get("target", proposal.target) == proposal.target
    ]


def _bracket(study: Study, number: int) -> int:
    asha = study.search.asha
    if asha is None:
        return 0
    return bracket_of(number, asha.brackets, asha.most_rungs, asha.reduction_factor)


def is_endless(study: Study) -> bool:
    """Whether a suggestion can always be new: some hyperparameter is sampled."""
    return any(not isinstance(v, int | float | str) for v in study.hyperparameters.values())
