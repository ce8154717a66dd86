"""ASHA: which trial is promoted. Pure decisions on numbers, no clock and no service.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934,
algorithm 2. A trial pauses at every rung; when a slot is free, the best trial among the top 1/eta
of the highest possible rung that has not been promoted yet is. Ray Tune's scheduler of that name
decides at arrival instead, so that the first arrival at each rung always survives.

Deviation: a score of NaN counts as an arrival (it makes the rung larger) but is never promoted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

EntityId = str


@dataclass(frozen=True, slots=True)
class Report:
    """One arrival at a rung.

    Attributes:
        entity: What competes: a trial, or a group of trials scored together.
        score: Higher is better; NaN if training diverged.
        arrival: Position in the run's order of arrivals; earlier wins a tie.
    """

    entity: EntityId
    score: float
    arrival: int


def top(reports: Iterable[Report], eta: int) -> list[EntityId]:
    """Return the best 1/eta of a rung, best first.

    Args:
        reports: Every arrival at the rung.
        eta: Reduction factor, at least 2 (eta in the paper).

    >>> top([Report("a", 1.0, 0), Report("b", 2.0, 1), Report("c", float("nan"), 2)], 3)
    ['b']
    """
    arrived = list(reports)
    quota = len(arrived) // eta
    ranked = sorted(
        (report for report in arrived if not math.isnan(report.score)),
        key=lambda report: (-report.score, report.arrival, report.entity),
    )
    return [report.entity for report in ranked[:quota]]


@dataclass
class Bracket:
    """The rungs of one competition (one target, or the average over targets).

    Attributes:
        eta: Reduction factor.
        num_rungs: Number of rungs; nothing is promoted from the last one.
    """

    eta: int
    num_rungs: int
    _rungs: list[dict[EntityId, Report]] = field(default_factory=list)
    _promoted: list[set[EntityId]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rungs = [{} for _ in range(self.num_rungs)]
        self._promoted = [set() for _ in range(self.num_rungs)]

    def report(self, rung: int, entity: EntityId, score: float, arrival: int) -> None:
        """Record an arrival; a second report of the same entity at the same rung is ignored."""
        self._rungs[rung].setdefault(entity, Report(entity, score, arrival))

    def promote(self, rung: int, entity: EntityId) -> None:
        """Record that an entity goes on from a rung, for whatever reason."""
        self._promoted[rung].add(entity)

    def promotable(self) -> list[tuple[int, EntityId]]:
        """Return what may be promoted now as (rung, entity): higher rungs first, then best first."""
        return [
            (rung, entity)
            for rung in reversed(range(self.num_rungs - 1))
            for entity in top(self._rungs[rung].values(), self.eta)
            if entity not in self._promoted[rung]
        ]

    def best_waiting(self) -> tuple[int, EntityId] | None:
        """Return the best entity that nothing has overtaken: of the highest rung with arrivals.

        ``None`` if the last rung has an arrival already. Used once a search is exhausted, so that a
        rung too small for 1/eta of it to be one trial still sends its best to the full budget.
        """
        if self._rungs[-1]:
            return None
        for rung in reversed(range(self.num_rungs - 1)):
            ranked = sorted(
                (r for r in self._rungs[rung].values() if not math.isnan(r.score)),
                key=lambda r: (-r.score, r.arrival, r.entity),
            )
            waiting = [r.entity for r in ranked if r.entity not in self._promoted[rung]]
            if waiting:
                return rung, waiting[0]
        return None
