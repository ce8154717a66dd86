"""Whether a search ended before its number of trials, because nothing new was left, in words."""

from __future__ import annotations

from collections.abc import Sequence

from search.trials import TrialRecord
from spaces.model_axis import model_labels
from spaces.study import Study


def is_exhausted(study: Study, records: Sequence[TrialRecord]) -> bool:
    """Whether a search that has ended suggested fewer trials than it might have.

    Args:
        study: The study.
        records: Every trial of the run.
    """
    return _num_suggested(records) < study.search.num_trials


def describe_end(study: Study, records: Sequence[TrialRecord]) -> str:
    """Say how many trials an exhausted search came to, and why it ended.

    A sampler that knows the space goes on until all of it was tried; Optuna's own do not know it,
    and a search ends when they repeat themselves only.
    """
    head = f"the search ended after {_num_suggested(records):,} of {study.search.num_trials:,} "
    num_pairs = study.space.size * len(study.targets)
    num_left = num_pairs - len(_tried(study, records))
    if not num_left:
        return f"{head}trials: nothing new was left to suggest"
    return (
        f"{head}trials: the sampler {study.search.sampler!r} repeated itself only, and "
        f"{num_left:,} of {num_pairs:,} pairs of sequence and target were not tried"
    )


def _num_suggested(records: Sequence[TrialRecord]) -> int:
    return sum(record.proposal.phase == "search" for record in records)


def _tried(study: Study, records: Sequence[TrialRecord]) -> set[tuple[str, str]]:
    """Return the pairs of the space that have a trial as the search would suggest it."""
    model = model_labels(study)[0]
    return {
        (str(record.proposal.sequence), record.proposal.target)
        for record in records
        if record.proposal.seed == study.seed
        and record.proposal.model == model
        and record.proposal.sequence in study.space
    }
