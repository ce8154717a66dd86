"""Zero-shot evaluation: how a model is scored on its target's sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from trainables.metrics import METRICS, gold_labels


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the ``scores`` table, less the trial."""

    language: str
    split: str
    metric: str
    value: float
    num_examples: int
    selected_on: bool
    headline: bool

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-able data."""
        return asdict(self)


def evaluate(
    engine: Engine,
    inputs: TaskInputs,
    target: str,
    sets: Sequence[EvaluationSet],
    *,
    batch_size: int,
    rank: int,
    world_size: int,
    selected_on: bool,
) -> list[Score]:
    """Score the engine's model on some evaluation sets.

    The sets' features are put into one pool, sorted by length and dealt to the workers batch by
    batch; every worker runs the same number of forward passes (ZeRO 3 gathers weights in each) and
    no example is dropped or counted twice.

    Returns:
        The scores, on worker 0; empty on the others.
    """
    task = inputs.catalogue[target]
    form = FORMATS[task.format]
    pool: list[tuple[int, int, Feature]] = [
        (s, i, feature)
        for s, chosen in enumerate(sets)
        for i, feature in enumerate(inputs.features(target, chosen.split, chosen.language))
    ]
    pool.sort(key=lambda entry: max(len(row) for row in entry[2].rows))
    batches = [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    layer = _pooled_layer(task, engine) if task.format == "retrieval" else None
    outputs: dict[tuple[int, int], Any] = {}
    with torch.inference_mode():
        for turn in range(math.ceil(len(batches) / world_size)):
            index = turn * world_size + rank
            batch = batches[min(index, len(batches) - 1)]
            features = [feature for _, _, feature in batch]
            arguments = collate(
                features,
                task.format,
                inputs.tokenizer.pad_token_id,
                engine.device,
                labelled=False,
            )
            if task.format == "retrieval":
                arguments["layer"] = layer
            logits = engine.logits(task=target, **arguments)
            if index < len(batches):
                for (s, i, _), output in zip(batch, form.outputs(logits, features), strict=True):
                    outputs[s, i] = output
    if world_size > 1:
        gathered: list[Any] | None = [None] * world_size if rank == 0 else None
        dist.gather_object(outputs, gathered)
        if gathered is None:
            return []
        outputs = {key: value for part in gathered for key, value in part.items()}
    return [
        score
        for s, chosen in enumerate(sets)
        for score in _score_set(inputs, target, chosen, s, outputs, selected_on)
    ]


def _pooled_layer(task: Task, engine: Engine) -> int | None:
    """Return the layer whose states a retrieval task pools; ``None`` for the last one.

    With the option ``layer_of`` the layer is given for an encoder of that depth and scaled to this
    one's: layer 13 of 24 (XLM-R Large) is layer 7 of 12 (base), as published.
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


def _score_set(
    inputs: TaskInputs,
    target: str,
    chosen: EvaluationSet,
    number: int,
    outputs: dict[tuple[int, int], Any],
    selected_on: bool,
) -> list[Score]:
    task = inputs.catalogue[target]
    records = inputs.records(target, chosen.split, chosen.language)
    features = inputs.features(target, chosen.split, chosen.language)
    predictions = FORMATS[task.format].decode(
        records,
        features,
        [outputs[number, i] for i in range(len(features))],
        inputs.encoding(target),
    )
    golds = gold_labels(records)
    metric = METRICS[task.metric]
    return [
        Score(
            chosen.language,
            chosen.split,
            name,
            float(value),
            len(golds),
            selected_on,
            headline=name in metric.headline,
        )
        for name, value in metric.compute(predictions, golds, chosen.language).items()
    ]


def objective(scores: Sequence[Score], metric: str) -> float:
    """Return the objective: the plain mean over languages of the metric's primary value.

    Args:
        scores: Scores of one trial; those with ``selected_on`` count.
        metric: The task's metric.
    """
    by_set: dict[tuple[str, str], dict[str, float]] = {}
    for score in scores:
        if score.selected_on:
            by_set.setdefault((score.language, score.split), {})[score.metric] = score.value
    primaries = [METRICS[metric].primary(values) for values in by_set.values()]
    return sum(primaries) / len(primaries) if primaries else float("nan")
