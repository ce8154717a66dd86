"""Who is training which stage now, so that no stage is ever in two hands."""

from __future__ import annotations

from collections.abc import Callable

from search.roster import Progress


class StageClaims:
    """Stages in flight. A trial holds one at most: the one it is training.

    Args:
        on_free: Called with each stage that is nobody's any more.
    """

    def __init__(self, on_free: Callable[[str], None]) -> None:
        self._on_free = on_free
        self._holder: dict[str, int] = {}
        self._held: dict[int, str] = {}

    def blocks(self, progress: Progress) -> bool:
        """Whether the stage that a trial needs next is in another's hands."""
        stage = progress.next_stage
        return stage is not None and self._holder.get(stage, progress.record.number) != (
            progress.record.number
        )

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
            del self._holder[stage]
            self._on_free(stage)

    def clear(self) -> None:
        """Give back everything."""
        stages = list(self._holder)
        self._holder.clear()
        self._held.clear()
        for stage in stages:
            self._on_free(stage)
