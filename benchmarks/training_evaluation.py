"""Examples a second of an evaluation, for ``training_throughput``."""

from __future__ import annotations

import statistics

import torch
from training_peers import Job

from spaces.study import DeepSpeedSection
from trainables.engine import Engine
from trainables.evaluation_plan import EvaluationSet
from trainables.formats import FORMATS
from trainables.forward import outputs_of
from trainables.inputs import TaskInputs


def measure_evaluation(job: Job, inputs: TaskInputs, batch_size: int, repeats: int) -> float:
    """Print the examples a second of an evaluation; return how many times the bare loop's.

    Args:
        job: The task and the model.
        inputs: Gives the English dev set.
        batch_size: Examples of a forward pass.
        repeats: How often each is measured, in turn.
    """
    chosen = EvaluationSet(inputs.catalogue[job.task].train_language, "dev")
    num_examples = len(inputs.records(job.task, chosen.split, chosen.language))
    section = DeepSpeedSection(zero_stage=job.zero_stage)  # type: ignore[arg-type]
    engine = Engine(job.model(), job.settings, section, precision=job.precision, world_size=1)
    ours, bare = [], []
    for turn in range(repeats + 1):
        started = job.now()
        outputs_of(engine, inputs, job.task, [chosen], batch_size=batch_size, rank=0, world_size=1)
        between = job.now()
        _bare(job, engine, inputs, chosen, batch_size)
        # The first turn pays for tokenising.
        if turn:
            ours.append(between - started)
            bare.append(job.now() - between)
    engine.destroy()
    seconds = statistics.median(ours)
    ratio = statistics.median(bare) / seconds
    print(
        f"    evaluation     {num_examples / seconds:12,.1f} examples/s, {num_examples} of them; "
        f"{ratio:.2f} times as fast as batches in the set's own order",
        flush=True,
    )
    return ratio


def _bare(
    job: Job, engine: Engine, inputs: TaskInputs, chosen: EvaluationSet, batch_size: int
) -> None:
    """Run the model over the set as one would write it."""
    model, form = engine.module.eval(), FORMATS[job.form]
    features = inputs.features(job.task, chosen.split, chosen.language)
    with torch.inference_mode(), job.autocast():
        for start in range(0, len(features), batch_size):
            some = features[start : start + batch_size]
            batch = job.padded(some)
            form.outputs(model(job.task, **batch), some)
