"""What bounds the cost of the measures. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.errors import InputError


@dataclass(frozen=True, slots=True)
class SimilaritySettings:
    """Bounds on what a measure reads and computes.

    Attributes:
        num_examples: Examples of each task's training set that are looked at.
        head_epochs: Passes of a fresh head over its frozen features before gradients are taken.
        max_tokens: Labelled tokens of a tagging or question-answering task that LogME and H-score
            are computed on.
        probe_steps: Optimizer steps of a few-step probe.
        probe_examples: Examples of each evaluation set that a probe is scored on.
        composition_scale: Factor on the summed changes of a composed sequence.
        seed: Of the choice of examples, the heads and the probes.

    Raises:
        InputError: A number that is too small.
    """

    num_examples: int = 256
    head_epochs: int = 20
    max_tokens: int = 4096
    probe_steps: int = 10
    probe_examples: int = 64
    composition_scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("num_examples", 8),
            ("head_epochs", 0),
            ("max_tokens", 8),
            ("probe_steps", 1),
            ("probe_examples", 1),
            ("composition_scale", 0),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if value < least:
                raise InputError(f"similarity settings: {name} is {value}; use {least} or more.")
