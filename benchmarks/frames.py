"""Seconds and memory to load a large run: one million rung reports by default.

    python benchmarks/frames.py [--rungs N] [--keep DIR]

The run is written first, by a process of its own: trials of ordered subsets of nine tasks on four
targets, three reports each, and as many scores by language as rungs. Then a fresh process loads it
with ``analysis.load_run``, five times: ``first``, and the median of the others as ``load``; imports
do not count. ``cpu`` is the processors' time of one load, of all threads: it hardly depends on
who else uses the machine. ``frames`` is the memory that the frames hold, ``peak`` the most that the
first load took, files included, above what the process had after the imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from spaces.sequences import SequenceSpace
from spaces.tables import TABLES

TARGETS = ("udpos", "panx", "tydiqa", "xnli")
TASKS = ("mnli", "squad1", "hellaswag", "siqa", "ccg", "qqp", "scitail", "cosmosqa", "squad2")
NUM_RUNGS = 3


def write_run(folder: Path, num_rungs: int) -> None:
    """Write a run with at least that many rung reports."""
    num_trials = -(-num_rungs // NUM_RUNGS)
    rng = np.random.default_rng(0)
    space = SequenceSpace(TASKS, 4)
    names = np.array([str(space[i]) for i in range(space.size)])
    start = pd.Timestamp(datetime(2026, 1, 1, tzinfo=UTC)).as_unit("us")
    number = np.arange(num_trials)
    sequence = names[rng.integers(space.size, size=num_trials)]
    target = np.array(TARGETS)[number % len(TARGETS)]
    started = start + pd.to_timedelta(number, unit="s").as_unit("us")
    rung = np.tile(np.arange(NUM_RUNGS), num_trials)
    frames = {
        "trials": {
            "trial_id": number,
            "target": target,
            "sequence": sequence,
            "num_stages": [name.count(">") + (name != "") for name in sequence],
            "state": "complete",
            "phase": "search",
            "model": "xlm-roberta-large",
            "arm": "",
            "score": rng.normal(60, 5, num_trials),
            "rung": NUM_RUNGS - 1,
            "steps_trained": 100,
            "steps_reused": 200,
            "seed": 0,
            "wall_s": 5.0,
            "started_at": started,
            "finished_at": started + pd.Timedelta(seconds=5),
            "error": "",
            "hp.target.learning_rate": rng.uniform(1e-5, 1e-4, num_trials),
        },
        "rungs": {
            "trial_id": np.repeat(number, NUM_RUNGS),
            "target": np.repeat(target, NUM_RUNGS),
            "rung": rung,
            "budget_steps": 100 * 3**rung,
            "score": rng.normal(60, 5, len(rung)),
            "decision": np.array(["promote", "promote", "complete"])[rung],
            "reported_at": np.repeat(started, NUM_RUNGS),
            "wall_s": rng.uniform(1, 5, len(rung)),
        },
        "scores": {
            "trial_id": np.repeat(number, NUM_RUNGS),
            "target": np.repeat(target, NUM_RUNGS),
            "rung": NUM_RUNGS - 1,
            "language": np.array(["de", "fi", "sw"])[rung],
            "split": "dev",
            "metric": "f1",
            "value": rng.uniform(0, 100, len(rung)),
            "num_examples": 1000,
            "selected_on": True,
            "headline": True,
        },
        "stages": {column.name: [] for column in TABLES["stages"]},
    }
    (folder / "tables").mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump({"name": "large"}), encoding="utf-8")
    for table, columns in frames.items():
        pd.DataFrame(columns).to_parquet(folder / "tables" / f"{table}.parquet")


def measure(folder: Path) -> dict[str, float]:
    """Load a run five times in this process; return seconds, MiB and rows. Linux only."""
    import psutil  # noqa: PLC0415  (comes with Ray; only this benchmark needs it)

    from analysis.frames import load_run  # noqa: PLC0415

    process = psutil.Process()
    before = process.memory_info().rss
    seconds, cpu_seconds = [], []
    for _ in range(5):
        began, cpu_began = time.perf_counter(), time.process_time()
        run = load_run(folder)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.process_time() - cpu_began)
        if len(seconds) == 1:
            peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    assert not run.problems, run.problems
    frames = [getattr(run, table) for table in TABLES]
    return {
        "rungs": len(run.rungs),
        "trials": len(run.trials),
        "scores": len(run.scores),
        "files": sum(path.stat().st_size for path in folder.glob("tables/*")) / 2**20,
        "first": seconds[0],
        "load": float(np.median(seconds[1:])),
        "cpu": float(np.median(cpu_seconds)),
        "frames": sum(float(frame.memory_usage(deep=True).sum()) for frame in frames) / 2**20,
        "peak": (peak - before) / 2**20,
    }


def main() -> None:
    """Write a large run and print what loading it takes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rungs", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="write the run here and keep it")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory(prefix="taskorder-frames-") as folder:
        run = arguments.keep or Path(folder) / "run"
        if not run.exists():
            write_run(run, arguments.rungs)
        command = [sys.executable, __file__, "--measure", str(run)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(
        f"{found['rungs']:,} rungs, {found['trials']:,} trials, {found['scores']:,} scores "
        f"({found['files']:.0f} MiB of Parquet)\n"
        f"load {found['load']:.2f} s (first {found['first']:.2f} s), "
        f"{found['cpu']:.2f} s of processors; "
        f"frames {found['frames']:.0f} MiB, peak {found['peak']:.0f} MiB"
    )


if __name__ == "__main__":
    main()
