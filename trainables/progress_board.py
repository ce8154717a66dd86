"""Where workers put how far they are, and where the run's live view reads it.

A named actor of the run's Ray job. Workers send one small message a second and never wait for an
answer, the view asks and never waits either, so neither trains or schedules any slower for it.
Without a board, as in a run whose output nobody watches, nothing is measured or sent. No torch: the
driver reads it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from spaces.reports import StepProgress

#: Names are those of the Ray job, so runs on one cluster do not meet.
NAME = "taskorder-progress"
#: After so many silent seconds a worker is taken for gone; one that hangs is ended about then.
FORGET_S = 1800.0


@dataclass(frozen=True, slots=True)
class Notice:
    """What a trial's first worker said last.

    Attributes:
        progress: Where it is.
        age_s: Seconds since it said so.
    """

    progress: StepProgress
    age_s: float


class Board:
    """The last message of every worker that trains; an actor in a run.

    Args:
        clock: Seconds, of any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, StepProgress]] = {}

    def put(self, worker: str, progress: StepProgress) -> None:
        """Note what a worker said."""
        self._entries[worker] = (self._clock(), progress)

    def drop(self, worker: str) -> None:
        """Forget a worker that has come to the end of what it did."""
        self._entries.pop(worker, None)

    def read(self) -> list[Notice]:
        """Return what every worker said last, in the order in which they began."""
        now = self._clock()
        self._entries = {
            worker: entry for worker, entry in self._entries.items() if now - entry[0] < FORGET_S
        }
        return [Notice(progress, now - told) for told, progress in self._entries.values()]


class BoardReader:
    """The run's board, made and read by its driver; call it within a Ray job.

    >>> BoardReader.off()()
    []
    """

    def __init__(self) -> None:
        # Beside the driver, in no one's way: what it does takes no CPU worth counting.
        local = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        actor: Any = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=local)(Board)
        self._board: Any = actor.options(name=NAME, get_if_exists=True).remote()
        self._asked: Any = None
        self._known: list[Notice] = []

    @staticmethod
    def off() -> Callable[[], list[Notice]]:
        """Return the reader of no board."""
        return list

    def __call__(self) -> list[Notice]:
        """Return what is known by now; what is asked for now is known at a later call."""
        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            # A board that is lost is made anew by Ray; until then the view shows what it knew.
            with contextlib.suppress(ray.exceptions.RayError):
                self._known = ray.get(self._asked)
            self._asked = None
        if self._asked is None:
            self._asked = self._board.read.remote()
        return self._known


@contextlib.contextmanager
def reporting(rank: int) -> Iterator[Callable[[StepProgress], None] | None]:
    """Give what a worker's training tells to the run's board, while the context lasts.

    Args:
        rank: The worker's number; only the first one reports.

    Yields:
        What is to be told; ``None`` if there is no board or it is another worker's to report.
    """
    board = _board() if rank == 0 else None
    if board is None:
        yield None
        return
    worker = ray.get_runtime_context().get_actor_id() or ""

    def tell(progress: StepProgress) -> None:
        board.put.remote(worker, progress)

    try:
        yield tell
    finally:
        board.drop.remote(worker)


def _board() -> Any:
    try:
        return ray.get_actor(NAME)
    except ValueError:
        return None  # there is none
