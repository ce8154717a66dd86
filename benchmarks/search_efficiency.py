"""Training steps until a search has found the best sequence: ours, ours less an idea, its peers.

    python benchmarks/search_efficiency.py [--table FILE | --drawn 9x4]
        [--objective average|per_target] [--seeds 20] [--methods ours ray-tune ...]
        [--observe seed|mean|drawn] [--noise 1] [--similarity FILE|none | --correlation 0.6]
        [--jobs 2]

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

With ``--drawn`` every search seed has a landscape of its own (``benchmarks/random_landscape.py``,
tasks x targets, means over its seeds, those left out in which the empty sequence is the best), so
that no method is tuned to one; ``--correlation`` draws similarities for it.

The recorded mini table comes with the similarities that ``taskorder similarity mini`` measured;
their cost, some seconds of forward and backward passes, is not counted. ``--similarity none`` does
without, so that ours is what ``no-similarity`` is otherwise.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"
DEFAULT = DATA / "mini_table.csv"
#: Measured on the same suite; used with the default table unless told otherwise.
DEFAULT_SIMILARITY = DATA / "mini_similarity.csv"

# Each process computes on one thread; set before anything numerical is loaded.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from benchmarks.search_goal import Goal  # noqa: E402
from benchmarks.search_methods import METHODS, NO_SIMILARITY, steps_of_ours  # noqa: E402
from benchmarks.search_peers import PEERS, is_installed, steps_of_peer  # noqa: E402
from benchmarks.search_worlds import drawn_goals, landscape_of  # noqa: E402
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
        max_ratio: Its steps, in those of the oracle, when it has not found it.
        table: Recorded table to draw noise from; ``None`` for none.
        noise: Factor on that noise.
    """

    goal: Goal
    method: str
    seed: int
    max_ratio: float
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
        oracle: The oracle's steps.
        seconds: Seconds of CPU time.
        error: What broke it off; empty if nothing did.
    """

    method: str
    seed: int
    steps: float
    oracle: int
    seconds: float
    error: str = ""


def run(job: Job) -> Search:
    """Run one search."""
    method, seed, oracle = job.method, job.seed, job.goal.oracle_steps()
    max_steps = round(job.max_ratio * oracle)
    started = time.process_time()
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
    return Search(method, seed, steps, oracle, time.process_time() - started, error)


def quantile(values: list[float], q: float) -> float:
    """Return a quantile with linear interpolation; values may be infinite."""
    ranked = sorted(values)
    place = q * (len(ranked) - 1)
    low, high = ranked[math.floor(place)], ranked[math.ceil(place)]
    return low if low == high else low + (high - low) * (place - math.floor(place))


def row(method: str, searches: list[Search], max_ratio: float) -> str:
    """Return a method's row."""
    steps = [search.steps for search in searches]
    limit = max_ratio * statistics.median(search.oracle for search in searches)
    cells = [
        f"{q:,.0f}" if math.isfinite(q) else f"> {limit:,.0f}"
        for q in (quantile(steps, 0.25), statistics.median(steps), quantile(steps, 0.75))
    ]
    ratio = statistics.median(search.steps / search.oracle for search in searches)
    found = sum(math.isfinite(value) for value in steps)
    return (
        f"{method:20}{cells[1]:>12}{cells[0]:>12}{cells[2]:>12}"
        f"{f'{ratio:.1f}' if math.isfinite(ratio) else '-':>10}{found:>6}/{len(steps)}"
    )


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--table", type=Path, default=DEFAULT)
    what.add_argument("--drawn", metavar="TASKSxTARGETS")
    parser.add_argument("--objective", choices=("average", "per_target"), default="average")
    parser.add_argument("--observe", choices=("seed", "mean", "drawn"), default="seed")
    parser.add_argument("--noise", type=float, default=1.0, help="with --observe drawn")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--similarity", help="table of `taskorder similarity` for ours, or none")
    parser.add_argument("--correlation", type=float, help="of drawn similarities, with --drawn")
    parser.add_argument("--methods", nargs="+", choices=ALL, default=None, metavar="METHOD")
    parser.add_argument("--max-ratio", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.similarity is None and not arguments.drawn and arguments.table == DEFAULT:
        arguments.similarity = str(DEFAULT_SIMILARITY)
    if arguments.similarity == "none":
        arguments.similarity = None
    if arguments.drawn and (arguments.similarity or arguments.observe == "drawn"):
        parser.error("--drawn has noise and similarities of its own: see --correlation")
    if arguments.correlation is not None and not arguments.drawn:
        parser.error("--correlation is for landscapes that are drawn: give --drawn too")
    if arguments.methods is None:
        is_idle = not has_similarity(arguments)
        arguments.methods = [name for name in ALL if not (is_idle and name == NO_SIMILARITY)]
    return arguments


def has_similarity(arguments: argparse.Namespace) -> bool:
    """Whether ours is given similarities."""
    return arguments.similarity is not None or arguments.correlation is not None


def make_jobs(arguments: argparse.Namespace, folder: Path) -> list[Job]:
    """Return the searches to run.

    Args:
        arguments: The command line.
        folder: Where drawn similarities are written.

    Raises:
        InputError: A table that cannot be searched.
    """
    table = None
    if arguments.drawn:
        goals = drawn_goals(
            landscape_of(arguments.drawn),
            arguments.seeds,
            arguments.objective,
            folder=folder,
            correlation=arguments.correlation,
        )
    else:
        recorded = read_table(arguments.table)
        goal = Goal.of(recorded, arguments.objective, arguments.observe, arguments.similarity)
        if arguments.observe == "drawn":
            goal.seen_by(recorded, 0, arguments.noise)
            table = recorded
        goals = [goal] * arguments.seeds
    return [
        Job(goal, method, seed, arguments.max_ratio, table, arguments.noise)
        for seed, goal in enumerate(goals)
        for method in arguments.methods
    ]


def run_all(jobs: list[Job], num_processes: int) -> list[Search]:
    """Run searches side by side, telling how far they are on a terminal."""
    searches: list[Search] = []
    with multiprocessing.get_context("spawn").Pool(num_processes) as pool:
        for search in pool.imap_unordered(run, jobs):
            searches.append(search)
            if sys.stderr.isatty():
                end = "\n" if len(searches) == len(jobs) else ""
                told = f"\r{len(searches)}/{len(jobs)} searches"
                print(told, end=end, file=sys.stderr, flush=True)
    return searches


def describe(arguments: argparse.Namespace, jobs: list[Job]) -> None:
    """Print what is searched."""
    worlds = list({job.seed: job for job in jobs}.values())
    goal = worlds[0].goal
    name = f"drawn landscapes, {len(worlds)}" if arguments.drawn else arguments.table.name
    print(
        f"{name}: {len(goal.tasks)} tasks, length {goal.max_length}, "
        f"{len(goal.table.targets)} targets; objective {arguments.objective}"
    )
    if not arguments.drawn:
        for entity in goal.entities:
            best = max(goal.truth[entity], key=goal.truth[entity].__getitem__)
            print(f"best for {entity}: {best or '(none)'} {goal.truth[entity][best]:.2f}")
        worlds = worlds if worlds[0].table is not None else worlds[:1]
    good = statistics.fmean(job.goal.good_fraction() for job in worlds)
    ceiling = statistics.fmean(job.own_goal().ceiling() for job in worlds)
    print(
        f"within 0.5 points of the best: {good:.1%} of sequences; having seen all "
        f"at one observation each: found in {ceiling:.0%} of observations"
    )


def main() -> None:
    """Run and print."""
    started = time.perf_counter()
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        try:
            jobs = make_jobs(arguments, Path(folder))
        except InputError as error:
            sys.exit(f"search_efficiency: {error}")
        searches = run_all(jobs, arguments.jobs)
        describe(arguments, jobs)
    for name in PEERS:
        if not is_installed(name):
            print(f"left out: {name}, not installed (the extra `benchmark` has it)")
    if NO_SIMILARITY not in arguments.methods and not has_similarity(arguments):
        print(f"left out: {NO_SIMILARITY}, which is ours without --similarity or --correlation")
    spent = {m: sum(s.seconds for s in searches if s.method == m) for m in arguments.methods}
    told = ", ".join(f"{m} {s:.0f}" for m, s in spent.items())
    wall_s = time.perf_counter() - started
    print(f"CPU seconds: {told}; in all {sum(spent.values()):.0f}, {wall_s:.0f} of real time")
    errors = [search.error for search in searches if search.error]
    for told in errors:
        print(f"broken off: {told}")
    print(f"{'steps':20}{'median':>12}{'quartile 1':>12}{'quartile 3':>12}{'/ oracle':>10}  found")
    worlds = {search.seed: search.oracle for search in searches}
    oracles = [Search("oracle", seed, steps, steps, 0.0) for seed, steps in worlds.items()]
    print(row("oracle", oracles, arguments.max_ratio))
    for method in arguments.methods:
        own = [search for search in searches if search.method == method]
        print(row(method, own, arguments.max_ratio))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
