"""What a search on a recorded table has to find, and what it costs those who know it already."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml

from search.competition import AVERAGE
from spaces.errors import InputError
from spaces.sequences import STAGE_SEPARATOR, TASK_SEPARATOR, Sequence
from spaces.study import Study, parse_study
from trainables.tabular import RecordedTable

#: A sequence is good if its true value is at most so many points below the best's.
TOLERANCE = 0.5
ETA, NUM_RUNGS = 3, 3


@dataclass(frozen=True)
class Goal:
    """A table, and what is to be found on it.

    The true value of a sequence is its mean over the table's seeds at the full budget, for a target
    or over all of them. A search has found the best once, for every entity at the same time, the
    sequence it would answer (its best by its own observations at the full budget) has a true value
    within the tolerance of the best's.

    Attributes:
        table: The table that the search sees.
        tasks: The intermediate tasks.
        max_length: Longest sequence.
        objective: ``average`` or ``per_target``.
        truth: True values by entity (``average``, or each target), then sequence.
        similarity: Table of ``taskorder similarity`` for those methods of ours that use one.
    """

    table: RecordedTable
    tasks: tuple[str, ...]
    max_length: int
    objective: str
    truth: Mapping[str, Mapping[str, float]]
    similarity: str | None = None

    @classmethod
    def of(
        cls,
        table: RecordedTable,
        objective: str,
        observe: str = "seed",
        similarity: str | None = None,
    ) -> Goal:
        """Make the goal of a table.

        Args:
            table: A whole table: every ordered subset up to a length.
            objective: ``average`` or ``per_target``.
            observe: ``seed``: a search sees the scores of one recorded seed, number s mod n for
                search seed s; ``mean``: it sees the means over seeds, so that the noise of seeds is
                out of the comparison; ``drawn``: as ``mean``, until ``seen_by`` adds noise.
            similarity: Table of similarities.

        Raises:
            InputError: Budgets on which ASHA with three rungs and factor 3 cannot be run.
        """
        for target in table.targets:
            recorded = table.budgets(target)
            wanted = {max(1, math.ceil(recorded[-1] / ETA**k)) for k in range(NUM_RUNGS)}
            if len(wanted) < NUM_RUNGS or not wanted <= set(recorded):
                raise InputError(
                    f"{table.origin}: target {target!r} has budgets {list(recorded)}; the searches "
                    f"need {sorted(wanted)}, {NUM_RUNGS} of them. Record those."
                )
        names = [text for text in table.sequences if TASK_SEPARATOR not in text]
        truth = {
            target: {text: table.mean_score(text, target) for text in names}
            for target in table.targets
        }
        if objective == "average":
            truth = {
                AVERAGE: {
                    text: math.fsum(t[text] for t in truth.values()) / len(truth) for text in names
                }
            }
        tasks = tuple(text for text in names if text and STAGE_SEPARATOR not in text)
        length = max(text.count(STAGE_SEPARATOR) + 1 for text in names if text)
        seen = table if observe == "seed" else average_seeds(table)
        return cls(seen, tasks, length, objective, truth, similarity)

    @property
    def entities(self) -> tuple[str, ...]:
        """What has an incumbent of its own."""
        return tuple(self.truth)

    def seen_by(self, table: RecordedTable, seed: int, noise: float) -> Goal:
        """Return the same goal on a table of the search's own, with its noise drawn anew."""
        return replace(self, table=redraw_noise(table, seed, noise))

    def targets_of(self, entity: str) -> tuple[str, ...]:
        """Return the targets that an entity's score is the mean over."""
        return self.table.targets if entity == AVERAGE else (entity,)

    def budgets(self, target: str) -> tuple[int, ...]:
        """Return a target's budgets at the rungs, rising."""
        full = self.table.budgets(target)[-1]
        return tuple(max(1, math.ceil(full / ETA**k)) for k in reversed(range(NUM_RUNGS)))

    def regret(self, entity: str, sequence: str) -> float:
        """Return how far a sequence's true value is below the best's, in points.

        What is not in the space (all tasks at once) is infinitely far.
        """
        truth = self.truth[entity]
        return max(truth.values()) - truth.get(sequence, -math.inf)

    def is_found(self, incumbents: Mapping[str, str]) -> bool:
        """Whether every entity's incumbent is good.

        Args:
            incumbents: Sequence by entity.
        """
        return all(
            entity in incumbents and self.regret(entity, incumbents[entity]) <= TOLERANCE
            for entity in self.truth
        )

    def oracle_steps(self) -> int:
        """Return the steps of training the best sequences alone, common prefixes once."""
        best = {e: max(truth, key=truth.__getitem__) for e, truth in self.truth.items()}
        prefixes = {str(p) for text in best.values() for p in Sequence.parse(text).prefixes()}
        targets = sum(self.table.budgets(target)[-1] for target in self.table.targets)
        return targets + sum(self.table.steps(prefix) for prefix in prefixes)

    def good_fraction(self) -> float:
        """Return the share of sequences that are good, the least over entities."""
        return min(
            sum(self.regret(entity, text) <= TOLERANCE for text in truth) / len(truth)
            for entity, truth in self.truth.items()
        )

    def ceiling(self) -> float:
        """Return how often a search that has seen every sequence at one seed has found the best."""
        found = 0
        for seed in self.table.seeds:
            incumbents = {
                entity: max(truth, key=lambda text, e=entity: self.observed(text, e, seed))
                for entity, truth in self.truth.items()
            }
            found += self.is_found(incumbents)
        return found / len(self.table.seeds)

    def observed(self, sequence: str, entity: str, seed: int, rung: int = -1) -> float:
        """Return what a search sees of a sequence at a recorded seed, at a rung."""
        targets = self.targets_of(entity)
        scores = [
            self.table.score(sequence, target, seed, self.budgets(target)[rung])
            for target in targets
        ]
        return math.fsum(scores) / len(scores)

    def study(self, seed: int, **search: Any) -> Study:
        """Return a study of the whole table; ``search`` are keys of its search section.

        Tasks and targets are listed in an order drawn by the seed: a search that goes by their
        order is not to be lucky every time.
        """
        shuffled = random.Random(seed)
        tasks, targets = list(self.tasks), list(self.table.targets)
        shuffled.shuffle(tasks)
        shuffled.shuffle(targets)
        content = {
            "name": "benchmark",
            "model": {"name": "mini"},
            "intermediate": {"tasks": tasks, "max_length": self.max_length},
            "targets": targets,
            "objective": self.objective,
            "seed": seed,
            "search": {
                "num_trials": 10**6,
                "baselines": False,
                "confirm": {"top": 0},
                "asha": {"reduction_factor": ETA, "num_rungs": NUM_RUNGS},
                **search,
            },
        }
        return parse_study(yaml.safe_dump(content, sort_keys=False), "benchmark")


def redraw_noise(table: RecordedTable, seed: int, noise: float = 1.0) -> RecordedTable:
    """Return a table with one seed, 0, on which the noise between seeds is drawn anew.

    A score is the mean over the recorded seeds plus the deviation of a seed from its mean, taken
    from a random sequence of the same target, with a random sign: at all budgets the same one, so
    that noise stays from budget to budget as it does on record.

    Args:
        table: At least two seeds.
        seed: Seeds the draw.
        noise: Factor; 1 for the noise of one recorded seed.

    Raises:
        InputError: One seed tells nothing of noise.
    """
    count = len(table.seeds)
    if count < 2:
        raise InputError(f"{table.origin}: one seed tells nothing of noise. Record a second one.")
    rng = np.random.default_rng([seed, 2])
    scores = {}
    for target in table.targets:
        budgets = table.budgets(target)
        recorded = np.array(
            [
                [[table.score(text, target, s, b) for b in budgets] for s in table.seeds]
                for text in table.sequences
            ]
        )
        means = recorded.mean(axis=1)
        # Deviations from a mean of n are smaller than those from the truth.
        deviations = (recorded - means[:, None]) * math.sqrt(count / (count - 1))
        pool = deviations.reshape(-1, len(budgets))
        drawn = pool[rng.integers(len(pool), size=len(means))]
        signs = rng.choice([-1.0, 1.0], size=(len(means), 1))
        values = np.clip(means + noise * signs * drawn, 0, 100)
        for text, row in zip(table.sequences, values.tolist(), strict=True):
            scores |= {(text, target, 0, b): v for b, v in zip(budgets, row, strict=True)}
    return RecordedTable(f"{table.origin}, noise redrawn", scores, table.stage_steps)


def average_seeds(table: RecordedTable) -> RecordedTable:
    """Return a table with one seed, 0, whose scores are the means over a table's seeds."""
    sums: dict[tuple[str, str, int], list[float]] = {}
    for (sequence, target, _, budget), score in table.scores.items():
        sums.setdefault((sequence, target, budget), []).append(score)
    scores = {
        (sequence, target, 0, budget): math.fsum(found) / len(found)
        for (sequence, target, budget), found in sums.items()
    }
    return RecordedTable(f"{table.origin}, seeds averaged", scores, table.stage_steps)
