"""Seconds from nothing to a stage's first step, for ``training_throughput``.

As a script it is the new process that is measured: it trains one stage's first steps and prints
when the first one was done.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spaces.plan import StagePlan
from trainables.session_config import SessionConfig


def measure_start_up(session: Any, plan: StagePlan, base: str) -> tuple[float, float]:
    """Return the wall seconds to the first step in a new process, and in this one.

    Args:
        session: A session of this process that has trained before.
        plan: The stage.
        base: Identity of the base model.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        content = {"session": session.config.to_json(), "plan": asdict(plan), "base": base}
        job.write_text(json.dumps(content), encoding="utf-8")
        started = time.time()
        done = subprocess.run(
            [sys.executable, __file__, str(job)], check=True, capture_output=True, text=True
        )
    cold = float(done.stdout.split()[-1]) - started
    started = time.time()
    return cold, _first_step(session, plan, base) - started


def _first_step(session: Any, plan: StagePlan, base: str) -> float:
    """Train the stage; return when its first step was done."""
    times: list[float] = []
    session.train_stage(plan, base, lambda _: times.append(time.time()))
    return times[0]


def main(job: Path) -> None:
    """Train a job's stage from nothing; print when its first step was done."""
    from trainables.engine import init_process  # noqa: PLC0415  (part of what it takes)
    from trainables.session import Session  # noqa: PLC0415

    content = json.loads(job.read_text(encoding="utf-8"))
    init_process()
    session = Session(SessionConfig.from_json(content["session"]))
    print(_first_step(session, StagePlan.from_json(content["plan"]), content["base"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
