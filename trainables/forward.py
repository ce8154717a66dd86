"""Runs a model over evaluation sets, on every worker of a trial."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist

from spaces.errors import TrainingError
from trainables.batches import collate
from trainables.devices import is_out_of_memory
from trainables.engine import Engine
from trainables.evaluation_plan import EvaluationSet
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.inputs import TaskInputs
from trainables.watchdog import watched

_log = logging.getLogger(__name__)
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
    features = {chosen: inputs.features(target, chosen.split, chosen.language) for chosen in sets}
    pool = _pool(features, shared=task.format == "retrieval")
    batches = [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    outputs: Outputs = {chosen: [None] * len(features[chosen]) for chosen in features}
    made: dict[int, list[Any]] = {}
    run = _Passes(engine, inputs, target, world_size)
    num_turns = math.ceil(len(batches) / world_size)
    with torch.inference_mode(), watched() as live:
        for turn in range(num_turns):
            live()
            index = turn * world_size + rank
            found = run([feature for feature, _ in batches[min(index, len(batches) - 1)]])
            if index < len(batches):
                made[index] = found
            if (turn + 1) % GATHERED_TURNS == 0 or turn + 1 == num_turns:
                for number, parts in _gather(made, rank, world_size).items():
                    for (_, places), output in zip(batches[number], parts, strict=True):
                        for chosen, i in places:
                            outputs[chosen][i] = output
                made = {}
    return outputs if rank == 0 else None


class _Passes:
    """Runs batches of features, in parts once the device has no room for a whole one.

    Args:
        engine: The model.
        inputs: Has the tokenizer.
        target: Name of the target.
        world_size: Number of workers.
    """

    def __init__(self, engine: Engine, inputs: TaskInputs, target: str, world_size: int) -> None:
        self._engine = engine
        self._target = target
        self._format = inputs.catalogue[target].format
        self._pad_id = inputs.tokenizer.pad_token_id
        # Under ZeRO 3 a pass gathers weights from the others, who would wait for one more.
        self._may_part = world_size == 1 or not engine.gathers_weights
        self._most: int | None = None

    def __call__(self, batch: Sequence[Feature]) -> list[Any]:
        """Return the outputs of a batch; later batches have longer rows and are parted alike.

        Raises:
            TrainingError: There is no room for one feature, or none for a batch that all workers
                have to run as it is.
        """
        made: list[Any] = []
        while len(made) < len(batch):
            part = batch[len(made) : len(made) + (self._most or len(batch))]
            try:
                found = self._outputs(part)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            else:
                made += found
                continue
            # Not in the handler: the error holds on to tensors.
            self._halve(len(part), reason)
        return made

    def _outputs(self, part: Sequence[Feature]) -> list[Any]:
        device = self._engine.device
        arguments = collate(part, self._format, self._pad_id, device, labelled=False)
        logits = self._engine.logits(task=self._target, **arguments)
        found: list[Any] = FORMATS[self._format].outputs(logits, part)
        return found

    def _halve(self, size: int, reason: str) -> None:
        if size == 1 or not self._may_part:
            raise TrainingError(
                f"{self._target}: no room to evaluate {size} example(s) in a forward pass "
                f"({reason}). Lower training.eval_batch_size or training.max_length."
            )
        self._most = size // 2
        _log.warning(
            "%s: out of memory evaluating %d examples in a forward pass, goes on with %d (%s). "
            "training.eval_batch_size: %d would have avoided it",
            self._target,
            size,
            self._most,
            reason,
            self._most,
        )


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
