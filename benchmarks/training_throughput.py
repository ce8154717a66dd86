"""Useful tokens a second of a stage: a taskorder session beside a bare PyTorch loop.

    python benchmarks/training_throughput.py [--tasks mini_entail mini_qa] [--steps 100]

Both train the same encoder with the same head on the same batches, padded to their longest row,
with AdamW, clipping and dropout, in this process. The bare loop is what one would write by hand: a
list of tensors, ``pad_sequence``, a step. A session's speed is taken from two stages of different
lengths: what the longer one takes more is steps alone, without start-up, which is printed apart.
The two take turns and the medians are compared, so that a busy machine slows both; ``--clock cpu``
counts this process's CPU seconds, which other processes disturb less (not for GPUs).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from spaces.sequences import Sequence
from spaces.study import Study, load_study
from trainables.batches import derived_seed, global_batch
from trainables.engine import free_port, init_process
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.models import build_model
from trainables.preparation import Preparation, prepare
from trainables.session import Session
from trainables.session_config import SessionConfig

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
#: Steps of the shorter of a session's two stages.
FEW_STEPS = 5


def study_of(tasks: list[str], steps: int, batch_size: int) -> Study:
    """Return a study whose stages have the given steps."""
    return load_study(
        "mini",
        (
            f"intermediate.tasks=[{', '.join(tasks)}]",
            "intermediate.max_length=1",
            f"training.stage.max_steps={steps}",
            f"training.batch_size={batch_size}",
        ),
    )


def session_of(study: Study, preparation: Preparation, folder: str) -> Session:
    """Return a session on a store of its own."""
    return Session(SessionConfig(study, preparation.model_path, folder, None, {}))


def ours(session: Session, preparation: Preparation, task: str, clock: Clock) -> float:
    """Return the seconds of a stage, start-up included."""
    (plan,) = preparation.planner.stages(Sequence.of(task), seed=0)
    started = clock()
    session.train_stage(plan, preparation.planner.base)
    return clock() - started


def bare(session: Session, preparation: Preparation, task: str, clock: Clock) -> float:
    """Return the seconds of the same steps in a bare loop, start-up not included."""
    (plan,) = preparation.planner.stages(Sequence.of(task), seed=0)
    settings = plan.settings
    form = session.inputs.catalogue[task].format
    features = session.inputs.train_features(task)
    rows = [[torch.tensor(row) for row in feature.rows] for feature in features]
    pad_id = session.inputs.tokenizer.pad_token_id
    model = build_model(
        preparation.model_path,
        {task: (form, session.inputs.head_size(task))},
        dropout=settings.dropout,
        seed=0,
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    model.train()
    batches = list(_batches(features, settings.batch_size, settings.steps))
    started = clock()
    for indices in batches:
        tensors = [row for i in indices for row in rows[i]]
        input_ids = pad_sequence(tensors, batch_first=True, padding_value=pad_id)
        labels = FORMATS[form].labels([features[i] for i in indices], input_ids.shape[1])
        loss = model(task, input_ids, (input_ids != pad_id).long(), labels, 1 / len(indices))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
    return clock() - started


def _batches(features: list[Feature], batch_size: int, steps: int) -> Any:
    for step in range(steps):
        yield global_batch(derived_seed("stream", 0, "bare"), len(features), batch_size, step)


def measure(task: str, arguments: argparse.Namespace, folder: str) -> dict[str, float]:
    """Return a task's figures: medians over the repeats."""
    sessions = []
    for steps in (FEW_STEPS, FEW_STEPS + arguments.steps):
        study = study_of([task], steps, arguments.batch_size)
        preparation = prepare(study, None, Path(folder))
        sessions.append((session_of(study, preparation, folder), preparation))
    (short, short_plan), (long, long_plan) = sessions
    clock = CLOCKS[arguments.clock]
    ours(
        short, short_plan, task, clock
    )  # The first stage of a process pays for imports and caches.
    start_up, mine, theirs = [], [], []
    for _ in range(arguments.repeats):
        few = ours(short, short_plan, task, clock)
        many = ours(long, long_plan, task, clock)
        mine.append((many - few) / arguments.steps)
        start_up.append(few - FEW_STEPS * mine[-1])
        theirs.append(bare(long, long_plan, task, clock) / (FEW_STEPS + arguments.steps))
    features = long.inputs.train_features(task)
    tokens = arguments.batch_size * statistics.fmean(f.num_tokens for f in features)
    return {
        "ours": tokens / statistics.median(mine),
        "bare": tokens / statistics.median(theirs),
        "ratio": statistics.median(theirs) / statistics.median(mine),
        "start_up_s": statistics.median(start_up),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--tasks", nargs="+", default=["mini_entail", "mini_supertag", "mini_qa", "mini_completion"]
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    init_process(0, 1, "127.0.0.1", free_port())
    print(f"{'task':18} {'ours tok/s':>12} {'bare tok/s':>12} {'ratio':>7} {'start-up s':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for task in arguments.tasks:
            row = measure(task, arguments, folder)
            print(
                f"{task:18} {row['ours']:12,.0f} {row['bare']:12,.0f} {row['ratio']:7.2f} "
                f"{row['start_up_s']:11.2f}"
            )


if __name__ == "__main__":
    main()
