"""Virtual time: a clock that only events move, and the events in their order."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

#: Virtual time zero as a point in time, for records that hold points in time.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

EventT = TypeVar("EventT")


class VirtualClock:
    """A clock that stands still until it is moved.

    Attributes:
        now_s: Virtual seconds since the start.
    """

    def __init__(self) -> None:
        self.now_s = 0.0

    def datetime(self) -> datetime:
        """Return the virtual time as a point in time."""
        return EPOCH + timedelta(seconds=self.now_s)

    def move_to(self, at_s: float) -> None:
        """Move on; time never goes back."""
        assert at_s >= self.now_s, f"from {self.now_s} back to {at_s}"
        self.now_s = at_s


@dataclass
class EventQueue(Generic[EventT]):
    """Events by virtual time; those of one time in the order in which they were added."""

    _heap: list[tuple[float, int, EventT]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def add(self, at_s: float, event: EventT) -> None:
        """Add an event."""
        heapq.heappush(self._heap, (at_s, next(self._order), event))

    def pop(self) -> tuple[float, EventT]:
        """Take the next event and its time."""
        at_s, _, event = heapq.heappop(self._heap)
        return at_s, event

    def __len__(self) -> int:
        return len(self._heap)
