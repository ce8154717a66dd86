"""What telling the live view how far training is costs a worker.

    OMP_NUM_THREADS=1 python benchmarks/training_progress.py

A worker's process counts steps and sends messages to the run's board, as one that trains does, and
its CPU seconds are taken, those of Ray's own threads included. Needs no GPU: on one, a message also
waits for the steps that are under way.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import ray
import torch

from spaces.reports import StepProgress
from trainables.meter import EVERY_S, Meter
from trainables.progress_board import BoardReader, reporting

STEPS = 10**9


class Teller:
    """A process that tells; made a Ray actor."""

    def message_s(self, count: int) -> float:
        """Return the CPU seconds of one message to the board."""
        with reporting(0) as report:
            assert report is not None
            started = time.process_time()
            for step in range(count):
                report(StepProgress("mnli", step, STEPS, 1.0, 1000.0, 60.0))
            # What the other threads still have to do for it is part of it.
            ray.get(ray.get_actor("taskorder-progress").read.remote())
            return (time.process_time() - started) / count

    def step_s(self, count: int) -> float:
        """Return the CPU seconds of counting one step, when no message is due."""
        meter = Meter(lambda _: None, "mnli", step=0, steps=STEPS, every_s=3600.0)
        loss = torch.zeros(())
        started = time.process_time()
        for _ in range(count):
            meter.count(loss, 1000)
        return (time.process_time() - started) / count


def main() -> None:
    """Print the cost of a step and of a message, medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    root = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (root, str(Path(__file__).parent), os.environ.get("PYTHONPATH")) if part
    )
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    board = BoardReader()
    board()
    kind: Any = ray.remote(num_cpus=1)(Teller)
    teller = kind.remote()

    def median(method: Any, count: int) -> float:
        # The first time pays for connections.
        return statistics.median(
            [ray.get(method.remote(count)) for _ in range(arguments.repeats + 1)][1:]
        )

    message_s = median(teller.message_s, arguments.messages)
    step_s = median(teller.step_s, arguments.messages)
    ray.shutdown()
    print(
        f"counting a step {step_s * 1e6:.1f} us; a message {message_s * 1e3:.2f} ms of a CPU, at "
        f"most one every {EVERY_S:g} s: {message_s / EVERY_S:.4%} of a worker"
    )


if __name__ == "__main__":
    main()
