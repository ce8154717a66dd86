"""How often a trial may fail: the loss of a node is nobody's failure."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Protocol

#: A failure that comes so close to the loss of a node is put down to it.
WINDOW_S = 90.0


class LostNodes(Protocol):
    """Tells which nodes are lost."""

    def __call__(self, *, probe: bool) -> Collection[str]:
        """Return the identities of the nodes that the cluster has lost so far.

        Args:
            probe: Whether to find out about those that the cluster does not miss yet.
        """


class FailureBudget:
    """Counts the failures of trials.

    A spot node that disappears takes processes of several trials with it, and what they raise is
    told before or after the cluster notices. So a failure is set against the losses around it.

    Args:
        max_failures: Times a trial is tried again.
        lost_nodes: Tells which nodes are lost.
        clock: A monotonic clock.
    """

    def __init__(
        self,
        max_failures: int,
        lost_nodes: LostNodes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_failures = max_failures
        self._lost_nodes = lost_nodes
        self._clock = clock
        self._known = set(lost_nodes(probe=False))
        self._losses: list[float] = []
        self._failures: dict[int, list[float]] = defaultdict(list)

    def look(self, *, probe: bool = False) -> None:
        """Note the nodes that were lost since this was last called; call it now and then."""
        found = set(self._lost_nodes(probe=probe))
        if found - self._known:
            self._losses.append(self._clock())
        self._known |= found

    def fail(self, number: int) -> bool:
        """Note that a trial has failed; whether it may be tried again."""
        self.look(probe=True)
        self._failures[number].append(self._clock())
        return self.num_counted(number) <= self._max_failures

    def num_counted(self, number: int) -> int:
        """Return how many failures of a trial are its own."""
        return sum(
            all(abs(failed - lost) > WINDOW_S for lost in self._losses)
            for failed in self._failures[number]
        )
