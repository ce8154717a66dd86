"""Records a study's whole landscape: every sequence, target and seed, at every budget.

    python benchmarks/record_table.py mini --seeds 2 --jobs 2 --out benchmarks/data/mini_table.csv

The table answers for the trainable in simulations and search benchmarks. It is made by the
project's own sessions: the stages, fingerprints and fine-tuning of a real run, without Ray. A table
that was interrupted goes on where it stopped: stages by the store, rows by the file.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spaces.sequences import Sequence, Stage
from spaces.study import Study, load_study
from trainables.preparation import Preparation, prepare
from trainables.session_config import SessionConfig

COLUMNS = ("sequence", "target", "seed", "budget_steps", "score", "stage_steps")


def subtrees(study: Study) -> Iterator[list[Sequence]]:
    """Yield the space in parts that share no stage: the root, each first task, all at once."""
    yield [Sequence()]
    for task in study.intermediate.tasks:
        yield [s for s in study.space.enumerate() if len(s) and s.names[0] == task]
    yield [Sequence((Stage(study.intermediate.tasks),))]


def record(job: tuple[Study, Preparation, str, Path, list[Sequence], int]) -> Path:
    """Train and evaluate one part of the space at one seed; return the file of its rows."""
    study, preparation, store_url, part, sequences, seed = job
    import torch  # noqa: PLC0415  (in the worker process)

    from trainables.engine import init_process  # noqa: PLC0415
    from trainables.session import Session  # noqa: PLC0415

    torch.set_num_threads(1)
    init_process()
    session = Session(
        SessionConfig(study, preparation.model_path, store_url, None, preparation.evaluation)
    )
    done = set()
    if part.exists():
        with part.open(encoding="utf-8", newline="") as file:
            done = {(row["sequence"], row["target"]) for row in csv.DictReader(file)}
    with part.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not done:
            writer.writeheader()
        for sequence in sequences:
            for target in study.targets:
                if (str(sequence), target.name) in done:
                    continue
                plan = preparation.planner.plan(0, sequence, target.name, seed=seed)
                for stage in plan.stages:
                    if session.store.get("stages", stage.fingerprint) is None:
                        session.train_stage(stage, plan.base)
                rows = []
                for rung, budget in enumerate(plan.budgets):
                    score = session.run_rung(plan, rung).score
                    rows.append(
                        {
                            "sequence": str(sequence),
                            "target": target.name,
                            "seed": seed,
                            "budget_steps": budget,
                            "score": round(score, 4),
                            "stage_steps": plan.stages[-1].settings.steps if plan.stages else 0,
                        }
                    )
                writer.writerows(rows)
                file.flush()
    return part


def main() -> None:
    """Record the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder of checkpoints, kept for going on")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    study = load_study(arguments.study, tuple(arguments.overrides))
    work = arguments.work or Path(tempfile.mkdtemp(prefix="taskorder-table-"))
    work.mkdir(parents=True, exist_ok=True)
    preparation = prepare(study, None, work)
    jobs = [
        (study, preparation, str(work / "stages"), work / f"part-{seed}-{i}.csv", part, seed)
        for seed in range(study.seed, study.seed + arguments.seeds)
        for i, part in enumerate(subtrees(study))
    ]
    rows: list[dict[str, str]] = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs, maxtasksperchild=1) as pool:
        for number, part in enumerate(pool.imap_unordered(record, jobs, chunksize=1), start=1):
            print(f"{number}/{len(jobs)} parts", file=sys.stderr, flush=True)
            with part.open(encoding="utf-8", newline="") as file:
                rows += csv.DictReader(file)
    order = {str(s): i for i, part in enumerate(subtrees(study)) for s in part}
    rows.sort(
        key=lambda r: (int(r["seed"]), order[r["sequence"]], r["sequence"].count(">"),
                       r["sequence"], r["target"], int(r["budget_steps"]))
    )  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(arguments.out)
    print(f"wrote {len(rows)} rows to {arguments.out}")


if __name__ == "__main__":
    main()
