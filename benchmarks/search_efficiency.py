"""Training steps until a search has found the best sequence: ours, ours less an idea, its peers.

    python benchmarks/search_efficiency.py [--table FILE] [--objective average|per_target]
        [--seeds 20] [--methods ours ray-tune ...] [--observe seed|mean|drawn] [--noise 1]
        [--similarity FILE] [--jobs 2]

Every method searches the recorded table with one worker. Its cost is all that it trains: stages of
sequences (each once in a run where the method shares them, every time where it does not), probes
and fine-tuning on the targets. It has found the best once the sequence that it would answer (the
best by its own observations at the full budget) has a true value (mean over the table's seeds)
within 0.5 points of the table's best; under ``per_target``, for every target at the same time.
Search seed s sees the scores of recorded seed s mod n; with ``--observe mean`` the means over
seeds; with ``--observe drawn`` the means plus noise of its own, drawn from the recorded seeds'
deviations times ``--noise``, so that every seed is another world. A search that spends
``--max-ratio`` times the oracle's steps has not found it. The oracle trains the best sequence
alone. Neither baselines nor confirmation are run.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path(__file__).parent / "data" / "mini_table.csv"

# Each process computes on one thread; set before anything numerical is loaded.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from benchmarks.search_goal import Goal  # noqa: E402
from benchmarks.search_methods import METHODS, NO_SIMILARITY, steps_of_ours  # noqa: E402
from benchmarks.search_peers import PEERS, is_installed, steps_of_peer  # noqa: E402
from spaces.errors import InputError  # noqa: E402
from trainables.tabular import RecordedTable, read_table  # noqa: E402

ALL = (*METHODS, *(name for name in PEERS if is_installed(name)))


@dataclass(frozen=True, slots=True)
class Job:
    """One search to run.

    Attributes:
        goal: What to find, on what is seen; its noise is still to be drawn if there is a table.
        method: The method.
        seed: Its seed.
        max_steps: When it has not found it.
        table: Recorded table to draw noise from; ``None`` for none.
        noise: Factor on that noise.
    """

    goal: Goal
    method: str
    seed: int
    max_steps: int
    table: RecordedTable | None
    noise: float

    def own_goal(self) -> Goal:
        """Return the goal with the noise that this search sees."""
        if self.table is None:
            return self.goal
        return self.goal.seen_by(self.table, self.seed, self.noise)


@dataclass(frozen=True, slots=True)
class Search:
    """How one search ended.

    Attributes:
        method: The method.
        seed: Its seed.
        steps: Steps until it had found the best; infinite if it did not.
        seconds: Seconds of real time.
        error: What broke it off; empty if nothing did.
    """

    method: str
    seed: int
    steps: float
    seconds: float
    error: str = ""


def run(job: Job) -> Search:
    """Run one search."""
    method, seed, max_steps = job.method, job.seed, job.max_steps
    started = time.perf_counter()
    steps, error = math.inf, ""
    try:
        goal = job.own_goal()
        if method in METHODS:
            steps = steps_of_ours(goal, METHODS[method], seed, max_steps)
        else:
            steps = steps_of_peer(goal, PEERS[method], seed, max_steps)
    except (ArithmeticError, ValueError, RuntimeError, AssertionError) as failure:
        # Told at the end, with exit status 1: one broken search is no reason to lose the others.
        error = f"{method}, seed {seed}: {type(failure).__name__}: {failure}"
    return Search(method, seed, steps, time.perf_counter() - started, error)


def quantile(values: list[float], q: float) -> float:
    """Return a quantile with linear interpolation; values may be infinite."""
    ranked = sorted(values)
    place = q * (len(ranked) - 1)
    low, high = ranked[math.floor(place)], ranked[math.ceil(place)]
    return low if low == high else low + (high - low) * (place - math.floor(place))


def row(method: str, values: list[float], oracle: int, max_steps: int) -> str:
    """Return a method's row."""
    cells = [
        f"{q:,.0f}" if math.isfinite(q) else f"> {max_steps:,}"
        for q in (quantile(values, 0.25), statistics.median(values), quantile(values, 0.75))
    ]
    ratio = statistics.median(values) / oracle
    found = sum(math.isfinite(value) for value in values)
    return (
        f"{method:20}{cells[1]:>12}{cells[0]:>12}{cells[2]:>12}"
        f"{f'{ratio:.1f}' if math.isfinite(ratio) else '-':>10}{found:>6}/{len(values)}"
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", type=Path, default=DEFAULT)
    parser.add_argument("--objective", choices=("average", "per_target"), default="average")
    parser.add_argument("--observe", choices=("seed", "mean", "drawn"), default="seed")
    parser.add_argument("--noise", type=float, default=1.0, help="with --observe drawn")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--similarity", help="table of `taskorder similarity`, for ours")
    parser.add_argument("--methods", nargs="+", choices=ALL, default=None, metavar="METHOD")
    parser.add_argument("--max-ratio", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.methods is None:
        is_idle = arguments.similarity is None
        arguments.methods = [name for name in ALL if not (is_idle and name == NO_SIMILARITY)]
    try:
        table = read_table(arguments.table)
        goal = Goal.of(table, arguments.objective, arguments.observe, arguments.similarity)
        if arguments.observe == "drawn":
            goal.seen_by(table, 0, arguments.noise)
    except InputError as error:
        parser.error(str(error))
    oracle = goal.oracle_steps()
    max_steps = round(arguments.max_ratio * oracle)
    noisy = table if arguments.observe == "drawn" else None
    jobs = [
        Job(goal, method, seed, max_steps, noisy, arguments.noise)
        for seed in range(arguments.seeds)
        for method in arguments.methods
    ]
    searches: list[Search] = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for search in pool.imap_unordered(run, jobs):
            searches.append(search)
            if sys.stderr.isatty():
                end = "\n" if len(searches) == len(jobs) else ""
                told = f"\r{len(searches)}/{len(jobs)} searches"
                print(told, end=end, file=sys.stderr, flush=True)
    print(
        f"{arguments.table.name}: {len(goal.tasks)} tasks, length {goal.max_length}, "
        f"{len(table.targets)} targets, {len(table.seeds)} seeds; objective {arguments.objective}"
    )
    for entity in goal.entities:
        best = max(goal.truth[entity], key=goal.truth[entity].__getitem__)
        print(f"best for {entity}: {best or '(none)'} {goal.truth[entity][best]:.2f}")
    worlds = {job.seed: job for job in jobs}.values() if noisy else jobs[:1]
    ceiling = statistics.fmean(job.own_goal().ceiling() for job in worlds)
    print(
        f"within 0.5 points of the best: {goal.good_fraction():.1%} of sequences; having seen all "
        f"at one observation each: found in {ceiling:.0%} of observations"
    )
    spent = {m: sum(s.seconds for s in searches if s.method == m) for m in arguments.methods}
    print("seconds: " + ", ".join(f"{m} {s:.0f}" for m, s in spent.items()))
    errors = [search.error for search in searches if search.error]
    for error in errors:
        print(f"broken off: {error}")
    print(f"{'steps':20}{'median':>12}{'quartile 1':>12}{'quartile 3':>12}{'/ oracle':>10}  found")
    print(row("oracle", [float(oracle)], oracle, max_steps))
    for method in arguments.methods:
        values = [search.steps for search in searches if search.method == method]
        print(row(method, values, oracle, max_steps))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
