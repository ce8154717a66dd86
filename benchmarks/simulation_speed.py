"""Real time of a large simulation, and of its decisions: the search's own cost without training.

    python benchmarks/simulation_speed.py [--trials 10000] [--workers 1000] [--sampler random]

A landscape of nine tasks and three targets is drawn (``benchmarks/random_landscape.py``), long
enough to have the trials; the coordinator, ledger and sampler of a real run search it under a
virtual clock. A decision is a selection or a report; a suggestion of the sampler is part of one.
``--profile`` adds what takes the time.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time

import yaml

from benchmarks.random_landscape import TARGETS, TASKS, Landscape
from benchmarks.search_worlds import table_of
from search.simulation import simulate
from spaces.study import Study, parse_study
from trainables.tabular import TabularTrainable

NUM_TARGETS = 3


def study_of(num_trials: int, max_length: int, sampler: str, *, baselines: bool = True) -> Study:
    """Return the study: nine tasks, each of three targets by itself, no confirmation."""
    content = {
        "name": "speed",
        "model": {"name": "mini"},
        "intermediate": {"tasks": list(TASKS), "max_length": max_length},
        "targets": list(TARGETS[:NUM_TARGETS]),
        "objective": "per_target",
        "search": {
            "num_trials": num_trials,
            "sampler": sampler,
            "baselines": baselines,
            "confirm": {"top": 0},
        },
    }
    return parse_study(yaml.safe_dump(content, sort_keys=False), "speed")


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--max-length", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    study = study_of(arguments.trials, arguments.max_length, arguments.sampler)
    drawn = Landscape(max_length=arguments.max_length, targets=NUM_TARGETS, seeds=1)
    trainable = TabularTrainable.of(study, table_of(drawn))
    profile = cProfile.Profile()
    wall, cpu = time.perf_counter(), time.process_time()
    if arguments.profile:
        profile.enable()
    result = simulate(study, trainable, workers=arguments.workers)
    profile.disable()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    latency = result.decision_latency()
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)
    print(f"trials       {len(result.records):,} on {arguments.workers:,} workers")
    print(f"real time    {wall:.1f} s ({cpu:.1f} s of CPU)")
    print(f"makespan     {result.makespan_s:,.0f} virtual s, utilisation {result.utilisation:.1%}")
    print(
        f"decisions    {latency['count']:,.0f}: mean {1e3 * latency['mean_s']:.2f} ms, median "
        f"{1e3 * latency['p50_s']:.2f} ms, 99 % within {1e3 * latency['p99_s']:.1f} ms"
    )


if __name__ == "__main__":
    main()
