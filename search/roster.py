"""The trials of a run in memory, by everything the coordinator asks for, so that no event scans."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from search.trials import TrialRecord
from spaces.plan import TrialPlan
from spaces.sequences import SequenceSpace


@dataclass
class Progress:
    """A trial's record, and the plan it follows.

    Attributes:
        num_lost: How many of its last stages the store has lost, so that they are trained again.
    """

    record: TrialRecord
    plan: TrialPlan
    num_lost: int = 0

    @property
    def next_stage(self) -> str | None:
        """Fingerprint of the stage it needs next; ``None`` when it has them all."""
        done = len(self.record.stages) - self.num_lost
        return self.plan.stages[done].fingerprint if done < len(self.plan.stages) else None

    @property
    def last_rung(self) -> int:
        """Index of the rung at its full budget."""
        return len(self.plan.budgets) - 1


class Roster:
    """Every trial of a run.

    Args:
        space: The sequences that are searched.
        seed: The study's own seed.
        model: Label of the model that is searched with.
    """

    def __init__(self, space: SequenceSpace, seed: int, model: str) -> None:
        self._space = space
        self._model = model
        self._seed = seed
        self._trials: dict[int, Progress] = {}
        self._keys: dict[tuple[Any, ...], TrialRecord] = {}
        self._entities: dict[str, list[Progress]] = {}
        self._open: dict[str, dict[int, Progress]] = {"waiting": {}, "running": {}, "paused": {}}
        # Numbers of waiting trials by whether they have started, some of them out of date; those
        # that were found to be held up are set aside, by the stage that they wait for.
        self._queues: dict[bool, list[int]] = {True: [], False: []}
        self._held_up: dict[str, list[Progress]] = {}
        self._seen: set[tuple[str, str]] = set()
        self.num_suggested = 0

    def add(self, progress: Progress) -> Progress:
        """Take a trial in."""
        record, proposal = progress.record, progress.record.proposal
        self._trials[record.number] = progress
        self._keys.setdefault(proposal.key, record)
        self._entities.setdefault(record.entity, []).append(progress)
        self.num_suggested += proposal.phase == "search"
        is_own = proposal.seed == self._seed and proposal.model == self._model
        if is_own and proposal.sequence in self._space:
            self._seen.add((str(proposal.sequence), proposal.target))
        self.settle(progress)
        return progress

    def move(self, progress: Progress, status: str) -> None:
        """Give a trial another status."""
        progress.record.status = status
        self.settle(progress)

    def settle(self, progress: Progress) -> None:
        """List a trial under the status its record has."""
        number = progress.record.number
        for trials in self._open.values():
            trials.pop(number, None)
        if not progress.record.is_final:
            self._open[progress.record.status][number] = progress
        if progress.record.status == "waiting":
            self._queue(progress)

    def first_waiting(
        self, *, has_started: bool, is_held_up: Callable[[Progress], bool]
    ) -> Progress | None:
        """Return the first trial, in the order they were asked, that waits and may go on.

        Args:
            has_started: Whether to look among the trials under way, or among those yet to start.
            is_held_up: Whether a trial's next stage is in another's hands; ``free`` says when that
                is over.
        """
        queue = self._queues[has_started]
        while queue:
            progress = self._trials[queue[0]]
            record = progress.record
            if record.status == "waiting" and (record.started_at is not None) == has_started:
                if not is_held_up(progress):
                    return progress
                stage = progress.next_stage
                assert stage is not None, "a trial is held up by a stage"
                self._held_up.setdefault(stage, []).append(progress)
            heapq.heappop(queue)
        return None

    def free(self, stage: str) -> None:
        """Note that a stage is in nobody's hands: who waited for it may go on."""
        for progress in self._held_up.pop(stage, ()):
            self._queue(progress)

    def _queue(self, progress: Progress) -> None:
        has_started = progress.record.started_at is not None
        heapq.heappush(self._queues[has_started], progress.record.number)

    def __getitem__(self, number: int) -> Progress:
        return self._trials[number]

    def __iter__(self) -> Iterator[Progress]:
        return iter(self._trials.values())

    @property
    def records(self) -> list[TrialRecord]:
        """Every trial's record, in the order they were asked."""
        return [progress.record for progress in self]

    @property
    def num_seen(self) -> int:
        """Number of (sequence, target) pairs of the space that have a trial at the study's seed."""
        return len(self._seen)

    @property
    def num_open(self) -> int:
        """Number of trials that are not final."""
        return sum(len(trials) for trials in self._open.values())

    def count(self, status: str) -> int:
        """Return how many trials have an open status."""
        return len(self._open[status])

    def having(self, status: str) -> list[Progress]:
        """Return the trials of an open status, in the order they were asked."""
        return [self._open[status][number] for number in sorted(self._open[status])]

    def find(self, key: tuple[Any, ...]) -> TrialRecord | None:
        """Return the first trial with a proposal's key."""
        return self._keys.get(key)

    def competing_as(self, entity: str) -> list[Progress]:
        """Return the trials that compete together: one, or the members of a group."""
        return self._entities[entity]
