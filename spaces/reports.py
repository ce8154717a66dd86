"""What trainables tell the search: plain data, JSON-able."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StageReport:
    """A stage a trial has, trained by it or found in the store.

    Attributes:
        fingerprint: Identity of its checkpoint.
        parent: Identity of the checkpoint it was trained from.
        sequence: Text form of the prefix that ends with it.
        steps: Its optimizer steps.
        wall_s: Seconds its training took, whenever that was.
        size_bytes: Size of the checkpoint.
        reused: Whether it was found in the store.
        run: Identity of the run that trained it, as the store notes it.
    """

    fingerprint: str
    parent: str
    sequence: str
    steps: int
    wall_s: float
    size_bytes: int
    reused: bool
    run: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Where the training of a stage or the fine-tuning of a target is.

    Attributes:
        what: The stage's sequence, or the target's name.
        step: Steps trained, those before this process included.
        steps: Steps to train.
        loss: Mean loss of the steps since the report before, of the first worker's share of the
            examples; NaN before the first step.
        tokens_per_s: Tokens of the examples of all workers since the report before, a second.
        left_s: Seconds that the steps to come will take at the speed so far.
    """

    what: str
    step: int
    steps: int
    loss: float
    tokens_per_s: float
    left_s: float


@dataclass(frozen=True, slots=True)
class SetProgress:
    """How far the tokenising of a training set has come.

    Attributes:
        stream: The stream of training examples, in its text form.
        num_done: Records that are tokenised.
        total: All of its records, where their number is known.
    """

    stream: str
    num_done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class SetReport:
    """What a stream of training examples holds, now that it is tokenised.

    Attributes:
        stream: The stream, in its text form.
        num_records: Records that were read.
        num_examples: Examples that were made of them and can be trained on.
        left_out: Records that were left out, by reason.
        is_cached: Whether all of it was tokenised before.
    """

    stream: str
    num_records: int
    num_examples: int
    left_out: Mapping[str, int]
    is_cached: bool
