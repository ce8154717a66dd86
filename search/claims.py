"""Who is training which stage now, so that no stage is ever in two hands.

Within a run that is known here. What other runs on the same store do, ``SharedStages`` is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from search.roster import Progress


class SharedStages(Protocol):
    """The stage store, as far as it bears on what a trial may do next."""

    def num_lost(self, progress: Progress) -> int:
        """Return how many of a trial's last stages have to be trained again before it goes on.

        What the trial needs is protected from now on.
        """

    def is_taken(self, progress: Progress) -> bool:
        """Whether another run is training the stage that a trial needs next.

        If not, the stage is in the store already, or this run's until it is given back.
        """

    def may_ask(self, stage: str) -> bool:
        """Whether it is time to ask for a stage again that another run was training."""

    def give_back(self, stage: str) -> None:
        """Give a stage back that this run need not train any more."""


class NotShared:
    """A store that this run alone uses, and that loses nothing."""

    def num_lost(self, progress: Progress) -> int:
        """See ``SharedStages``."""
        return 0

    def is_taken(self, progress: Progress) -> bool:
        """See ``SharedStages``."""
        return False

    def may_ask(self, stage: str) -> bool:
        """See ``SharedStages``."""
        return True

    def give_back(self, stage: str) -> None:
        """See ``SharedStages``."""


class StageClaims:
    """Stages in flight. A trial holds one at most: the one it is training.

    Args:
        on_free: Called with each stage that is nobody's any more.
        shared: What other runs do.
    """

    def __init__(self, on_free: Callable[[str], None], shared: SharedStages | None = None) -> None:
        self._on_free = on_free
        self._shared: SharedStages = shared or NotShared()
        self._holder: dict[str, int] = {}
        self._held: dict[int, str] = {}
        self._elsewhere: set[str] = set()

    def blocks(self, progress: Progress) -> bool:
        """Whether the stage that a trial needs next is in another's hands.

        If it is not, this run has it from now on.
        """
        record = progress.record
        if record.status != "running":
            progress.num_lost = self._shared.num_lost(progress)
        stage = progress.next_stage
        if stage is None:
            return False
        if stage in self._holder:
            return self._holder[stage] != record.number
        if self._shared.is_taken(progress):
            self._elsewhere.add(stage)
            return True
        return False

    def ask_again(self) -> None:
        """Let those try again who wait for other runs, where it is time to."""
        for stage in [stage for stage in self._elsewhere if self._shared.may_ask(stage)]:
            self._elsewhere.discard(stage)
            self._on_free(stage)

    def take(self, progress: Progress) -> None:
        """Let a trial have the stage it needs next, if any, in place of what it held."""
        self.release(progress)
        stage = progress.next_stage
        if stage is not None:
            assert stage not in self._holder, f"stage {stage} is claimed twice"
            self._holder[stage] = progress.record.number
            self._held[progress.record.number] = stage

    def release(self, progress: Progress) -> None:
        """Give back what a trial holds."""
        stage = self._held.pop(progress.record.number, None)
        if stage is not None:
            self._free(stage)

    def clear(self) -> None:
        """Give back everything."""
        self._held.clear()
        for stage in list(self._holder):
            self._free(stage)

    def _free(self, stage: str) -> None:
        del self._holder[stage]
        self._shared.give_back(stage)
        self._on_free(stage)
