"""Real time of the sequence sampler's suggestions, by the number of observations it has.

    OMP_NUM_THREADS=1 python benchmarks/suggestion_speed.py [--observations 1000] [--workers 8]

A drawn landscape of nine tasks and three targets (``benchmarks/random_landscape.py``) is searched
per target under a virtual clock, by the coordinator, ledger and sampler of a real run. Timed is
all that a suggestion takes: reading what is new in the storage, the surrogate with its effect
sizes, and the choice. The last row is of those with about as many as ``--observations``.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from benchmarks.random_landscape import Landscape
from benchmarks.search_worlds import table_of
from benchmarks.simulation_speed import NUM_TARGETS, study_of
from search.samplers.sequence import SurrogateSampler
from search.simulation import simulate
from spaces.study import Study
from trainables.tabular import TabularTrainable


class TimedSampler(SurrogateSampler):
    """The sampler, with a note of what each suggestion took.

    Attributes:
        noted: Observations there were, and seconds of the suggestion.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.noted: list[tuple[int, float]] = []

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Choose the parameters of a new trial, and note how long that took."""
        started = time.perf_counter()
        values = super().sample_relative(study, trial, search_space)
        seconds = time.perf_counter() - started
        self.noted.append((len(self.history(study).observations), seconds))
        return values


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--observations", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=8)
    arguments = parser.parse_args()
    # A trial makes one observation at least, so there are enough of them.
    study = study_of(arguments.observations, 3, "sequence", baselines=False)
    sampler = TimedSampler(study)
    trainable = TabularTrainable.of(study, table_of(Landscape(targets=NUM_TARGETS, seeds=1)))
    simulate(study, trainable, workers=arguments.workers, sampler=sampler)
    print(f"{'observations':>20}{'suggestions':>13}{'median':>11}{'99% within':>12}{'longest':>11}")
    counts, seconds = (np.array(column) for column in zip(*sampler.noted, strict=True))
    edges = [0, *(round(arguments.observations * part) for part in (0.1, 0.3, 0.6, 0.9, 1.1))]
    for low, high in itertools.pairwise(edges):
        took = seconds[(counts >= low) & (counts < high)] * 1e3
        if len(took):
            median, most, longest = np.median(took), np.quantile(took, 0.99), took.max()
            print(
                f"{f'{low:,} to {high:,}':>20}{len(took):>13,}{median:>8.1f} ms{most:>9.1f} ms"
                f"{longest:>8.1f} ms"
            )


if __name__ == "__main__":
    main()
