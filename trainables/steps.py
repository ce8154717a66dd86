"""The steps of a stage, ready to be trained: which task, which examples, as the model's arguments.

What a step holds is a pure function of the stage and the step's number (``trainables.batches``), so
steps may be made in advance, in another thread, or from the middle on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from spaces.plan import TrainSettings
from spaces.stages import Mixture
from trainables.batches import derived_seed, global_batch, micro_batches, mixture_schedule
from trainables.inputs import TaskInputs


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step.

    Attributes:
        number: Its number, from 0.
        batches: This worker's micro-batches, on its device.
        num_tokens: Tokens of the global batch's examples; 0 if nobody counts them.
    """

    number: int
    batches: Sequence[Mapping[str, Any]]
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a worker lays its share of a batch out.

    Attributes:
        rank: This worker's number.
        world_size: Number of workers.
        device: Where its batches go.
        micro_batch_size: Most examples in a forward pass.
        packed: Whether the model can do without padding.
    """

    rank: int
    world_size: int
    device: torch.device
    micro_batch_size: int
    packed: bool


def stage_steps(
    inputs: TaskInputs,
    mixture: Mixture,
    settings: TrainSettings,
    layout: Layout,
    *,
    start: int,
    until: int,
    counted: bool = False,
) -> Iterator[Step]:
    """Yield the steps of a stage from ``start`` up to ``until``.

    Args:
        inputs: Gives the features. They are opened now, not when the first step is asked for.
        mixture: What the stage trains on.
        settings: The stage's settings.
        layout: How this worker lays its share out.
        start: First step, from 0.
        until: One after the last.
        counted: Whether tokens are counted.
    """
    features = [inputs.train_features(stream) for stream in mixture.all_streams]
    shares = mixture.shares([len(found) for found in features])
    schedule = mixture_schedule(shares, settings.seed, settings.steps)

    def made() -> Iterator[Step]:
        taken = [schedule[:start].count(i) for i in range(len(mixture.tasks))]
        for number in range(start, until):
            chosen = schedule[number]
            name, found = mixture.tasks[chosen], features[chosen]
            seed = derived_seed("stream", settings.seed, name)
            indices = global_batch(seed, len(found), settings.batch_size, taken[chosen])
            taken[chosen] += 1
            batches = micro_batches(
                found,
                indices,
                task=name,
                form=inputs.catalogue[name].format,
                tokenizer=inputs.tokenizer,
                device=layout.device,
                rank=layout.rank,
                world_size=layout.world_size,
                micro_batch_size=layout.micro_batch_size,
                seed=derived_seed("mask", settings.seed, number),
                packed=layout.packed,
            )
            num_tokens = sum(found[i].num_tokens for i in indices) if counted else 0
            yield Step(number, list(batches), num_tokens)

    return made()
