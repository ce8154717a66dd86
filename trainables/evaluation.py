"""Zero-shot evaluation: how a model is scored on its target's sets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from spaces.tasks import Task
from trainables.engine import Engine
from trainables.evaluation_plan import EvaluationPlan, EvaluationSet
from trainables.formats import FORMATS
from trainables.forward import outputs_of
from trainables.inputs import TaskInputs
from trainables.metrics import METRICS, Metric, gold_labels
from trainables.predictions import write_predictions
from trainables.records import Record

_log = logging.getLogger(__name__)


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
    plan: EvaluationPlan,
    *,
    batch_size: int,
    rank: int,
    world_size: int,
    predictions_dir: Path | None = None,
) -> list[Score]:
    """Score the engine's model on a target's sets, all of them in one pass.

    A metric with a threshold (BUCC's) has it found on a language's dev set and kept on its test
    set, as XTREME does. Without a labelled dev set among the plan's, the threshold is the best for
    the test set itself: its score is then an upper bound, and a warning says so.

    Args:
        engine: The model.
        inputs: Records and features.
        target: Name of the target.
        plan: The sets; a score's ``selected_on`` tells those that are selected on.
        batch_size: Most features in one forward pass on one worker.
        rank: This worker's number.
        world_size: Number of workers.
        predictions_dir: Where ``plan.predict``'s predictions are written; ``None`` for not at all.

    Returns:
        The scores, on worker 0; empty on the others.
    """
    task = inputs.catalogue[target]
    to_score = (*plan.select, *plan.report)
    to_write = plan.predict if predictions_dir else ()
    outputs = outputs_of(
        engine,
        inputs,
        target,
        tuple(dict.fromkeys((*to_score, *to_write))),
        batch_size=batch_size,
        rank=rank,
        world_size=world_size,
    )
    if outputs is None:
        return []
    predictions = {}
    for chosen in list(outputs):
        # Dropped one by one: those of retrieval are large.
        predictions[chosen] = _decode(inputs, target, chosen, outputs.pop(chosen))
    golds = {chosen: gold_labels(_records(inputs, target, chosen)) for chosen in to_score}
    metrics = set_metrics(task, predictions, golds)
    if predictions_dir:
        for chosen in to_write:
            write_predictions(
                predictions_dir,
                task,
                chosen.language,
                chosen.split,
                _records(inputs, target, chosen),
                metrics[chosen].submitted(predictions[chosen]),
            )
    return [
        Score(
            chosen.language,
            chosen.split,
            name,
            float(value),
            len(golds[chosen]),
            selected_on=chosen in plan.select,
            headline=name in metrics[chosen].headline,
        )
        for chosen in to_score
        for name, value in metrics[chosen]
        .compute(predictions[chosen], golds[chosen], chosen.language)
        .items()
    ]


def set_metrics(
    task: Task,
    predictions: Mapping[EvaluationSet, Mapping[str, Any]],
    golds: Mapping[EvaluationSet, Mapping[str, Any]],
) -> dict[EvaluationSet, Metric]:
    """Return the metric of each set, with what a dev set decides taken from its language's.

    Args:
        task: The task.
        predictions: Those of every set, by record id.
        golds: Those of every set that is scored, by record id.
    """
    metric = METRICS[task.metric]
    calibrated = {
        chosen.language: metric.calibrated(predictions[chosen], golds[chosen])
        for chosen in golds
        if chosen.split == "dev"
    }
    metrics = {chosen: calibrated.get(chosen.language, metric) for chosen in predictions}
    for chosen in golds:
        if metrics[chosen].needs_dev:
            _warn_of_upper_bound(task.name, chosen)
    return metrics


def _records(inputs: TaskInputs, target: str, chosen: EvaluationSet) -> list[Record]:
    return inputs.records(target, chosen.split, chosen.language)


def _decode(
    inputs: TaskInputs, target: str, chosen: EvaluationSet, outputs: list[Any]
) -> Mapping[str, Any]:
    predictions: Mapping[str, Any] = FORMATS[inputs.catalogue[target].format].decode(
        _records(inputs, target, chosen),
        inputs.features(target, chosen.split, chosen.language),
        outputs,
        inputs.encoding(target),
    )
    return predictions


@cache
def _warn_of_upper_bound(target: str, chosen: EvaluationSet) -> None:
    """Warn once in a process, not at every trial."""
    _log.warning(
        "%s, %r: no labelled dev set gives the threshold, so the best for the %s set itself is "
        "taken: its score is an upper bound. Put the dev set where the task file looks for it.",
        target,
        chosen.language,
        chosen.split,
    )


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
