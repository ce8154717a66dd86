"""Runs a model over evaluation sets, on every worker of a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist

from trainables.batches import collate
from trainables.engine import Engine
from trainables.evaluation_plan import EvaluationSet
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.inputs import TaskInputs

#: Outputs go to worker 0 after so many batches of each worker: what is under way stays small.
GATHERED_TURNS = 256
#: A set, and the number of a feature in it.
Place = tuple[EvaluationSet, int]
Outputs = dict[EvaluationSet, list[Any]]


def outputs_of(
    engine: Engine,
    inputs: TaskInputs,
    target: str,
    sets: Sequence[EvaluationSet],
    *,
    batch_size: int,
    rank: int,
    world_size: int,
) -> Outputs | None:
    """Return the format's outputs of every feature of some sets.

    The sets' features are put into one pool, sorted by length and dealt to the workers batch by
    batch; every worker runs the same number of forward passes (ZeRO 3 gathers weights in each) and
    no example is dropped or counted twice. What several sets of a retrieval task share, as LAReQA's
    languages share their candidates, is encoded once.

    Returns:
        The outputs in the order of ``inputs.features``, on worker 0; ``None`` on the others.
    """
    task = inputs.catalogue[target]
    form = FORMATS[task.format]
    features = {chosen: inputs.features(target, chosen.split, chosen.language) for chosen in sets}
    pool = _pool(features, shared=task.format == "retrieval")
    batches = [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    outputs: Outputs = {chosen: [None] * len(features[chosen]) for chosen in features}
    made: dict[int, list[Any]] = {}
    num_turns = math.ceil(len(batches) / world_size)
    with torch.inference_mode():
        for turn in range(num_turns):
            index = turn * world_size + rank
            batch = [feature for feature, _ in batches[min(index, len(batches) - 1)]]
            pad_id = inputs.tokenizer.pad_token_id
            arguments = collate(batch, task.format, pad_id, engine.device, labelled=False)
            logits = engine.logits(task=target, **arguments)
            if index < len(batches):
                made[index] = form.outputs(logits, batch)
            if (turn + 1) % GATHERED_TURNS == 0 or turn + 1 == num_turns:
                for number, found in _gather(made, rank, world_size).items():
                    for (_, places), output in zip(batches[number], found, strict=True):
                        for chosen, i in places:
                            outputs[chosen][i] = output
                made = {}
    return outputs if rank == 0 else None


def _pool(
    features: Mapping[EvaluationSet, Sequence[Feature]], *, shared: bool
) -> list[tuple[Feature, list[Place]]]:
    """Return the features to run, the shortest first, and the places that each one's output is for.

    Args:
        features: Of each set.
        shared: Whether features of the same tokens have the same output.
    """
    places: dict[Any, tuple[Feature, list[Place]]] = {}
    for chosen, found in features.items():
        for i, feature in enumerate(found):
            key = feature.rows if shared else (chosen, i)
            places.setdefault(key, (feature, []))[1].append((chosen, i))
    return sorted(places.values(), key=lambda entry: max(len(row) for row in entry[0].rows))


def _gather(made: dict[int, list[Any]], rank: int, world_size: int) -> dict[int, list[Any]]:
    """Bring every worker's batches to worker 0; the others get none."""
    if world_size == 1:
        return made
    parts: list[Any] | None = [None] * world_size if rank == 0 else None
    dist.gather_object(made, parts)
    return {number: found for part in parts or () for number, found in part.items()}
