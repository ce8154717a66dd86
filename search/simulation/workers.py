"""Simulated workers: who is free, and what each has spent its time on."""

from __future__ import annotations

import heapq
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """How a worker spent its time, in virtual seconds; the rest of the run it was idle.

    Attributes:
        busy_s: Work whose result was reported.
        lost_s: Work that was cut short and has to be done again.
        away_s: Pre-empted.
    """

    busy_s: float = 0.0
    lost_s: float = 0.0
    away_s: float = 0.0


class Workers:
    """A fixed number of workers; a free one with the lowest number works first.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.tallies = [Tally() for _ in range(count)]
        self._free = list(range(count))

    def __len__(self) -> int:
        return len(self.tallies)

    @property
    def has_free(self) -> bool:
        """Whether any worker is free."""
        return bool(self._free)

    def take(self) -> int:
        """Take a free worker."""
        return heapq.heappop(self._free)

    def give_back(self, worker: int) -> None:
        """Set a worker free."""
        heapq.heappush(self._free, worker)
