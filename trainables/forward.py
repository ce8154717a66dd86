"""Runs a model over evaluation sets, on every worker of a trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from spaces.errors import InputError
from spaces.tasks import Task
from trainables.batches import collate
from trainables.engine import Engine
from trainables.evaluation_plan import EvaluationSet
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.inputs import TaskInputs

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
    no example is dropped or counted twice.

    Returns:
        The outputs in the order of ``inputs.features``, on worker 0; ``None`` on the others.
    """
    task = inputs.catalogue[target]
    form = FORMATS[task.format]
    features = {chosen: inputs.features(target, chosen.split, chosen.language) for chosen in sets}
    pool: list[tuple[EvaluationSet, int, Feature]] = [
        (chosen, i, feature) for chosen in features for i, feature in enumerate(features[chosen])
    ]
    pool.sort(key=lambda entry: max(len(row) for row in entry[2].rows))
    batches = [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    options = {"layer": pooled_layer(task, engine)} if task.format == "retrieval" else {}
    made: list[tuple[EvaluationSet, int, Any]] = []
    with torch.inference_mode():
        for turn in range(math.ceil(len(batches) / world_size)):
            index = turn * world_size + rank
            batch = batches[min(index, len(batches) - 1)]
            rows = [feature for _, _, feature in batch]
            pad_id = inputs.tokenizer.pad_token_id
            arguments = collate(rows, task.format, pad_id, engine.device, labelled=False)
            logits = engine.logits(task=target, **arguments, **options)
            if index < len(batches):
                made += [
                    (chosen, i, output)
                    for (chosen, i, _), output in zip(
                        batch, form.outputs(logits, rows), strict=True
                    )
                ]
    gathered = _gather(made, rank, world_size)
    if gathered is None:
        return None
    outputs: Outputs = {chosen: [None] * len(features[chosen]) for chosen in features}
    for chosen, i, output in gathered:
        outputs[chosen][i] = output
    return outputs


def _gather(
    made: list[tuple[EvaluationSet, int, Any]], rank: int, world_size: int
) -> list[tuple[EvaluationSet, int, Any]] | None:
    """Bring every worker's share to worker 0."""
    if world_size == 1:
        return made
    # A row of a batch's tensor would be pickled with the whole batch.
    whole = [
        (chosen, i, output.clone() if isinstance(output, torch.Tensor) else output)
        for chosen, i, output in made
    ]
    parts: list[Any] | None = [None] * world_size if rank == 0 else None
    dist.gather_object(whole, parts)
    return None if parts is None else [entry for part in parts for entry in part]


def pooled_layer(task: Task, engine: Engine) -> int | None:
    """Return the layer whose states a retrieval task pools; ``None`` for the last one.

    With the option ``layer_of`` the layer is given for an encoder of that depth and scaled to this
    one's: layer 13 of 24 (XLM-R Large) is layer 7 of 12 (base), as published.

    Raises:
        InputError: The model has no such layer.
    """
    layer = task.options.get("layer")
    if layer is None:
        return None
    depth = int(engine.module.encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]
    if "layer_of" in task.options:
        layer = math.ceil(layer * depth / task.options["layer_of"])
    if not 0 <= layer <= depth:
        raise InputError(
            f"task {task.name!r}: options.layer is {layer}, the model has {depth} layers. "
            "Choose a layer from 0 (the embeddings) on."
        )
    return int(layer)
