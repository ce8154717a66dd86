"""Kills a search on the built-in suite again and again, and checks that nothing was lost.

    python tests/soak.py [--kills 20] [--concurrent 1] [--seed 0] [--keep DIR]

The driver, or a process that trains, is killed with SIGKILL at a random moment, many times in a
row; a killed driver's run is resumed. At one trial at a time the tables must then equal those of an
uninterrupted run; at several every stage must have been trained once, every trial must have come to
an end, and none may be there twice. Exit status 0 if so.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from analysis import load_run
from tests.search.test_end_to_end import STUDY, command, facts, training_workers

#: Long enough that nothing but a hang reaches it.
PATIENCE_S = 1800.0


def start(run_dir: Path, study: Path, concurrent: int) -> subprocess.Popen[bytes]:
    """Launch the run, or resume it if it was launched before."""
    if (run_dir / "study.yaml").is_file():
        arguments = command("resume", run_dir)
    else:
        options = {
            "search.max_concurrent": concurrent,
            # A killed process is no fault of its trial, and there are many.
            "search.max_failures": 1000,
            "storage.checkpoint_every_steps": 2,
        }
        settings = [
            part for name, value in options.items() for part in ("--set", f"{name}={value}")
        ]
        arguments = command("launch", study, "--run-dir", run_dir, *settings)
    log = (run_dir.parent / f"{run_dir.name}.log").open("ab")
    return subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)


def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process to end; whether it did in time."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def until_training(process: subprocess.Popen[bytes]) -> list[int]:
    """Wait until a run trains; return the processes that do, none if it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if workers := list(training_workers(process.pid)):
            return workers
        wait(process, 0.2)
    return []


def soak(run_dir: Path, study: Path, *, kills: int, concurrent: int, dice: random.Random) -> int:
    """Run a study to its end, killing on the way; return how many kills there was time for."""
    done = 0
    process = start(run_dir, study, concurrent)
    while done < kills and process.poll() is None:
        during_set_up = dice.random() < 0.2
        if not during_set_up:
            until_training(process)
        if wait(process, dice.uniform(0.0, 5.0)):
            break
        workers = list(training_workers(process.pid))
        victim = dice.choice(workers) if workers and dice.random() < 0.5 else process.pid
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        done += 1
        what = "the driver" if victim == process.pid else "a worker"
        print(f"kill {done}: {what}", flush=True)
        if victim == process.pid:
            process.wait()
            process = start(run_dir, study, concurrent)
    if not wait(process, PATIENCE_S):
        process.kill()
        raise SystemExit(f"the run hangs after {done} kills; see {run_dir}.log")
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}; see {run_dir}.log")
    return done


def check_equal(expected: Path, found: Path) -> None:
    """Check that two runs have the same tables, points in time and durations apart."""
    ours = facts(found)
    for table, frame in facts(expected).items():
        pd.testing.assert_frame_equal(ours[table], frame, check_exact=True, obj=table)


def check_whole(expected: Path, found: Path) -> None:
    """Check that nothing was lost, doubled or trained twice."""
    run, other = load_run(found), load_run(expected)
    assert set(run.stages["times_trained"]) == {1}, run.stages
    assert set(run.trials["state"]) <= {"complete", "pruned"}, run.trials["state"].value_counts()
    keys = ["sequence", "target", "seed"]
    assert not run.trials.duplicated(keys).any(), "a trial is there twice"
    phases = run.trials["phase"].value_counts()
    assert phases["search"] == other.trials["phase"].value_counts()["search"]


def main() -> int:
    """Read the options and soak."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--concurrent", type=int, default=1, help="trials at a time")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--keep", type=Path, help="folder for the runs; a temporary one if absent")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taskorder-soak-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        study = folder / "study.yaml"
        study.write_text(STUDY, encoding="utf-8")
        whole, killed = folder / "whole", folder / "killed"
        soak(whole, study, kills=0, concurrent=options.concurrent, dice=random.Random())
        dice = random.Random(options.seed)
        done = soak(killed, study, kills=options.kills, concurrent=options.concurrent, dice=dice)
        check_whole(whole, killed)
        if options.concurrent == 1:
            check_equal(whole, killed)
        print(f"{done} kills, and the run ended as it should have")
    return 0


if __name__ == "__main__":
    sys.exit(main())
