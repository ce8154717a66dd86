"""ASHA: which trial is promoted. Pure decisions on numbers, no clock and no service.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934,
algorithm 2. A trial pauses at every rung; when a slot is free, the best trial among the top 1/eta
of the highest possible rung that has not been promoted yet is. Ray Tune's scheduler of that name
decides at arrival instead, so that the first arrival at each rung always survives.

Deviation: a score of NaN counts as an arrival (it makes the rung larger) but is never promoted.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

EntityId = str

_GOLDEN = (math.sqrt(5) - 1) / 2


def bracket_of(number: int, num_brackets: int, num_rungs: int, eta: int) -> int:
    """Return in which bracket a trial is.

    Bracket s ranks its trials from rung s on. With K rungs it has Hyperband's share of the trials,
    ``K eta^(K - 1 - s) / (K - s)``, with which all brackets cost about the same. Shares hold all
    along: multiples of the golden ratio spread evenly over them (Weyl 1916).

    Args:
        number: Of the trial; nothing else decides.
        num_brackets: How many brackets; at most one a rung.
        num_rungs: K in the paper's terms s_max + 1.
        eta: Reduction factor.

    Source: Li et al., arXiv:1603.06560, algorithm 1, and arXiv:1810.05934, section 3.3
    (asynchronous Hyperband). Deviation: trials of a higher bracket are evaluated at the rungs below
    their first as well, which costs little and tells the sampler of them.

    >>> [bracket_of(number, 2, 3, 3) for number in range(8)]
    [0, 0, 0, 1, 0, 0, 1, 0]
    """
    shares = [num_rungs * eta ** (num_rungs - 1 - s) / (num_rungs - s) for s in range(num_brackets)]
    place = number * _GOLDEN % 1.0 * math.fsum(shares)
    for bracket, share in enumerate(shares[:-1]):
        place -= share
        if place < 0:
            return bracket
    return num_brackets - 1


#: Sorts best first: the higher score, then the earlier arrival, then the name.
_Key = tuple[float, int, EntityId]


@dataclass
class _Rung:
    """The arrivals at one rung; each operation costs O(log n) comparisons."""

    arrived: set[EntityId] = field(default_factory=set)
    keys: dict[EntityId, _Key] = field(default_factory=dict)
    ranked: list[_Key] = field(default_factory=list)
    waiting: list[_Key] = field(default_factory=list)
    promoted: set[EntityId] = field(default_factory=set)

    def report(self, entity: EntityId, score: float, arrival: int) -> None:
        if entity in self.arrived:
            return
        self.arrived.add(entity)
        if math.isnan(score):
            return
        key = (-score, arrival, entity)
        self.keys[entity] = key
        bisect.insort(self.ranked, key)
        if entity not in self.promoted:
            bisect.insort(self.waiting, key)

    def promote(self, entity: EntityId) -> None:
        if entity in self.promoted:
            return
        self.promoted.add(entity)
        key = self.keys.get(entity)
        if key is not None:
            del self.waiting[bisect.bisect_left(self.waiting, key)]

    def promotable(self, eta: int) -> Iterator[EntityId]:
        quota = len(self.arrived) // eta
        for key in self.waiting:
            if bisect.bisect_left(self.ranked, key) >= quota:
                return
            yield key[2]


class Bracket:
    """The rungs of one competition (one target, or the average over targets).

    What competes is named by an ``EntityId``: a trial, or a group of trials scored together.

    Args:
        eta: Reduction factor, at least 2 (eta in the paper).

    >>> bracket = Bracket(eta=3)
    >>> for arrival, (name, score) in enumerate([("a", 1.0), ("b", 2.0), ("c", float("nan"))]):
    ...     bracket.report(0, name, score, arrival)
    >>> bracket.promotable()
    [(0, 'b')]
    """

    def __init__(self, eta: int) -> None:
        self.eta = eta
        self._rungs: list[_Rung] = []
        self._has_finisher = False

    def report(
        self, rung: int, entity: EntityId, score: float, arrival: int, *, is_last: bool = False
    ) -> None:
        """Record an arrival; a second report of the same entity at the same rung is ignored.

        Args:
            rung: Index of the rung, from 0.
            entity: What has arrived.
            score: Higher is better; NaN if training diverged.
            arrival: Position in the run's order of arrivals; the earlier wins a tie.
            is_last: Whether this is the entity's full budget, from which nothing is promoted.
        """
        place = self._rung(rung)
        place.report(entity, score, arrival)
        if is_last:
            place.promote(entity)
            self._has_finisher = True

    def promote(self, rung: int, entity: EntityId) -> None:
        """Record that an entity goes on from a rung, for whatever reason."""
        self._rung(rung).promote(entity)

    def promotable(self) -> list[tuple[int, EntityId]]:
        """Return what may be promoted now as (rung, entity): highest rung first, then best."""
        return [
            (rung, entity)
            for rung in reversed(range(len(self._rungs)))
            for entity in self._rungs[rung].promotable(self.eta)
        ]

    def unfinished_best(self) -> list[tuple[int, EntityId]]:
        """Return what waits as (rung, entity), furthest and best first, if nothing has finished.

        Used once a search is exhausted, so that a rung too small for 1/eta of it to be one trial
        still sends its best to the full budget. Empty once anything had its full budget.
        """
        if self._has_finisher:
            return []
        return [
            (rung, key[2])
            for rung in reversed(range(len(self._rungs)))
            for key in self._rungs[rung].waiting
        ]

    def _rung(self, index: int) -> _Rung:
        while len(self._rungs) <= index:
            self._rungs.append(_Rung())
        return self._rungs[index]
