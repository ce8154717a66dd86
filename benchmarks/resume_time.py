"""Seconds from a command to its first training step: ``taskorder resume`` beside ``launch``.

    python benchmarks/resume_time.py [--rounds 3] [--study mini] [--set KEY=VALUE ...]

One run of the study: it is launched, its driver killed with SIGKILL in the middle of a training,
and resumed, and killed and resumed again. The study keeps a checkpoint after every step, so that
the first one to appear in the store tells of the first step; what writing it takes is in both. The
launch begins with no tokenised training sets; a resumed run finds them, and finds its checkpoints.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

#: Seconds between two looks, which is how exact a time is; and how long a first step may take.
LOOK_S, PATIENCE_S = 0.02, 600.0


def checkpoints(run_dir: Path) -> set[Path]:
    """Return the data of the trainings in flight that are in a run's store."""
    return set(run_dir.glob("stages/progress/*/*-live-*/data-*.safetensors"))


def first_step(process: subprocess.Popen[bytes], run_dir: Path, started: float) -> float:
    """Return the seconds until a run has done a step, counted from ``started``.

    Args:
        process: The run's driver.
        run_dir: Its directory.
        started: By ``time.monotonic``, before the driver was started.

    Raises:
        RuntimeError: The driver has ended before, or it takes too long.
    """
    known = checkpoints(run_dir)
    while time.monotonic() - started < PATIENCE_S:
        if checkpoints(run_dir) - known:
            return time.monotonic() - started
        if process.poll() is not None:
            break
        time.sleep(LOOK_S)
    raise RuntimeError(f"no step was trained; the driver's exit status is {process.poll()}")


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a driver, and wait until all that it started has noticed and is gone."""
    others = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(others, timeout=PATIENCE_S)


def measure(folder: Path, study: str, settings: list[str], rounds: int) -> Iterator[float]:
    """Yield the seconds of a launch, then those of each resume.

    Args:
        folder: For the run and for the tokenised training sets; empty.
        study: Name or file of the study.
        settings: ``KEY=VALUE`` each.
        rounds: How often it is killed and resumed.
    """
    run_dir = folder / "run"
    settings = ["storage.checkpoint_every_steps=1", *settings]
    options = [part for setting in settings for part in ("--set", setting)]
    launch = ["launch", study, "--run-dir", str(run_dir), *options]
    environment = {**os.environ, "TASKORDER_CACHE": str(folder / "cache")}
    for number in range(1 + rounds):
        command = launch if number == 0 else ["resume", str(run_dir)]
        started = time.monotonic()
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "search.cli", *command],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            yield first_step(process, run_dir, started)
        except RuntimeError as error:
            raise SystemExit(f"{error}\n{(folder / 'log').read_text()}") from error
        finally:
            if process.poll() is None:
                kill(process)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="times it is killed and resumed")
    parser.add_argument("--study", default="mini")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        launch, *resumes = measure(
            Path(folder), arguments.study, arguments.set, max(1, arguments.rounds)
        )
        resume = statistics.median(resumes)
        each = ", ".join(f"{seconds:.1f}" for seconds in resumes)
        print(f"launch to the first training step  {launch:6.1f} s")
        print(f"resume to the first training step  {resume:6.1f} s  (median of {each})")
        print(f"resume / launch                    {resume / launch:6.2f}")


if __name__ == "__main__":
    main()
