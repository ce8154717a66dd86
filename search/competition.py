"""Which trials compete with which: those of one target, or of the average, in one ASHA bracket.

Under the objective ``average`` the trials of one suggestion are a group: it arrives at a rung when
its last member has, with their mean score, and it is promoted as a whole. A member with fewer rungs
than the others (a target without training has one) stands at its last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from search.asha import Bracket
from search.roster import Progress, Roster
from search.trials import Proposal
from spaces.model_axis import model_labels
from spaces.study import Study

AVERAGE = "average"

#: Phases that stand outside of the competition: they run on several seeds, to the full budget.
APART = frozenset({"arm", "confirm"})


class Competition:
    """The brackets of a run: the first model's. Trials of arms and the confirmation do not compete.

    Args:
        study: The study.
        roster: The trials.
    """

    def __init__(self, study: Study, roster: Roster) -> None:
        asha = study.search.asha
        eta = asha.reduction_factor if asha else 2
        self._roster = roster
        self._model = model_labels(study)[0]
        self._brackets: dict[tuple[str, int], Bracket] = defaultdict(lambda: Bracket(eta))
        self._num_entered: dict[str, int] = defaultdict(int)

    def enter(self, progress: Progress, *, num_reports: dict[int, int] | None = None) -> None:
        """Enter what a trial's latest report completes: its own arrival, or its group's.

        Args:
            progress: The trial.
            num_reports: How many reports of each trial count; all of them if not given. For the
                replay of a record in its order of arrival.
        """
        record = progress.record
        if not self._has_part(record.proposal):
            return
        members = self._roster.competing_as(record.entity)
        bracket = self._bracket(progress)
        last = max(member.last_rung for member in members)
        while (rung := self._num_entered[record.entity]) <= last:
            reports = []
            for member in members:
                number = member.record.number
                count = len(member.record.rungs) if num_reports is None else num_reports[number]
                at = min(rung, member.last_rung)
                if count <= at:
                    return
                reports.append(member.record.rungs[at])
            mean = sum(report.score for report in reports) / len(reports)
            arrival = max(report.arrival for report in reports)
            if rung >= min(record.proposal.bracket, last):
                bracket.report(rung, record.entity, mean, arrival, is_last=rung == last)
            self._num_entered[record.entity] += 1

    def promote(self, progress: Progress, rung: int) -> None:
        """Record that a trial goes on from a rung, and its group with it."""
        if self._has_part(progress.record.proposal):
            self._bracket(progress).promote(rung, progress.record.entity)

    def promotable(self) -> Iterator[list[Progress]]:
        """Yield the trials that may be promoted together: highest rung first, best first."""
        due = [
            (-rung, position, order, entity)
            for position, bracket in enumerate(self._brackets.values())
            for order, (rung, entity) in enumerate(bracket.promotable())
        ]
        for rung, _, _, entity in sorted(due):
            paused = self._paused(entity, -rung)
            if paused:
                yield paused

    def unfinished_best(self) -> Iterator[list[Progress]]:
        """Yield the trials that wait in brackets in which nothing has finished, the best first."""
        for bracket in self._brackets.values():
            for rung, entity in bracket.unfinished_best():
                paused = self._paused(entity, rung)
                if paused:
                    yield paused

    def _paused(self, entity: str, rung: int) -> list[Progress]:
        """Return the members of an entity that are paused at a rung."""
        return [
            member
            for member in self._roster.competing_as(entity)
            if member.record.status == "paused" and len(member.record.rungs) - 1 == rung
        ]

    def _has_part(self, proposal: Proposal) -> bool:
        return proposal.phase not in APART and proposal.model == self._model

    def _bracket(self, progress: Progress) -> Bracket:
        proposal = progress.record.proposal
        return self._brackets[AVERAGE if proposal.group else proposal.target, proposal.bracket]
