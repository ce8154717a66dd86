"""The coordinator: what runs next, and what becomes of a report. No Ray, no clock of its own.

Its inputs are reports in their order of arrival; its outputs are trials to start and decisions. It
holds nothing that is not in the ledger, so it is rebuilt from there after any interruption. The
Ray adapters and the simulator drive the same coordinator.

Order of work when a slot is free: a trial under way that holds no slot (interrupted, promoted, or
held up by another that was training its next stage), a promotion, a trial that waits for its start
(baselines, arms, confirmations), a new suggestion.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any, Literal

from search.claims import SharedStages, StageClaims
from search.competition import Competition
from search.ledger import Ledger, Suggestion
from search.phases import confirmations, planned
from search.proposing import is_endless, proposals_of
from search.recovery import group_members, replay
from search.roster import Progress, Roster
from search.trials import Proposal, RungReport, TrialRecord
from spaces.model_axis import model_labels
from spaces.planner import Planner
from spaces.reports import StageReport
from spaces.study import Study

Action = Literal["continue", "pause", "stop"]

#: Times a trial may find that the store has lost what it needs.
MAX_LOSSES = 10
#: Suggestions in a row that repeat earlier trials before a sampler is taken to have nothing new.
MAX_REPEATS = 50


class Coordinator:
    """The search's decisions.

    Args:
        study: The study.
        planner: Resolves proposals to plans.
        ledger: The durable record.
        max_concurrent: Slots.
        run_id: Identity of this run in the store's notes.
        shared: What other runs on the same store do; there are none if not given.
    """

    def __init__(
        self,
        study: Study,
        planner: Planner,
        ledger: Ledger,
        *,
        max_concurrent: int,
        run_id: str = "",
        shared: SharedStages | None = None,
    ) -> None:
        self.study = study
        self.max_concurrent = max_concurrent
        self._run_id = run_id
        self._planner = planner
        self._ledger = ledger
        self._roster = Roster(study.space, study.seed, model_labels(study)[0])
        self._competition = Competition(study, self._roster)
        self._claims = StageClaims(self._roster.free, shared)
        self._credited: set[str] = set()
        self._num_arrivals = 0
        self._num_repeats = 0
        self._num_losses: Counter[int] = Counter()
        self._settled: list[int] = []
        self._rebuild()

    # What there is.

    @property
    def records(self) -> list[TrialRecord]:
        """Every trial's record, in the order they were asked."""
        return self._roster.records

    def progress(self, number: int) -> Progress:
        """Return a trial's record and plan."""
        return self._roster[number]

    @property
    def num_running(self) -> int:
        """Trials that hold a slot."""
        return self._roster.count("running")

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to run. Asks nobody and changes nothing."""
        return self._roster.num_open == 0 and self._is_exhausted and not self._unconfirmed()

    @property
    def waits_for_others(self) -> bool:
        """Whether all that is left to do now waits for other runs on the same store."""
        return not self.num_running and self._roster.count("waiting") > 0

    def take_settled(self) -> list[int]:
        """Return the trials that were ended while they were paused, each once."""
        settled, self._settled = self._settled, []
        return settled

    # What runs next.

    def select(self) -> Progress | None:
        """Return the trial that should take a free slot; ``None`` if there is none (yet).

        Whatever this decides on the way (a promotion, a suggestion) is durable, so a trial that is
        selected and not started is selected again.
        """
        if self.num_running >= self.max_concurrent:
            return None
        self._claims.ask_again()
        while True:
            chosen = self._due() or self._fresh() or self._suggestion()
            if chosen is not None or self.num_running or self.waits_for_others:
                return chosen
            # Nothing runs and nothing is due: the search is over, or what waits is decided now.
            if not (self._promote_unfinished() or self._settle() or self._confirm()):
                return None

    def start(self, number: int) -> None:
        """Give a trial a slot."""
        progress = self._roster[number]
        self._claims.take(progress)
        self._ledger.start(progress.record)
        self._roster.move(progress, "running")

    # What is reported.

    def on_stage(self, number: int, report: StageReport) -> Action:
        """Note a stage; ``pause`` if the trial's next stage is being trained by another."""
        progress = self._roster[number]
        record = progress.record
        if record.is_final:
            return "stop"
        if any(stage.fingerprint == report.fingerprint for stage in record.stages):
            return "continue"  # A trial that was tried again tells what is on record.
        self._claims.release(progress)
        if report.reused and report.run == self._run_id:
            # Trained by this run. If nobody is credited, its driver died before it heard of it.
            report = replace(report, reused=report.fingerprint in self._credited)
        if not report.reused:
            self._credited.add(report.fingerprint)
        self._ledger.stage(record, report)
        return self._go_on(progress)

    def on_rebuilt(self, number: int, report: StageReport) -> Action:
        """Note a stage that was trained again because the store had lost it."""
        progress = self._roster[number]
        if progress.record.is_final:
            return "stop"
        self._claims.release(progress)
        self._ledger.rebuilt(progress.record, report)
        progress.num_lost = max(0, progress.num_lost - 1)
        return self._go_on(progress)

    def on_lost(self, number: int, error: str) -> Action:
        """Note that the store has lost something that a trial needs, which is made again.

        A store that loses things again and again fails the trial.
        """
        progress = self._roster[number]
        if progress.record.is_final:
            return "stop"
        self._num_losses[number] += 1
        if self._num_losses[number] > MAX_LOSSES:
            self.on_failure(number, error)
            return "stop"
        self._claims.release(progress)
        self._roster.move(progress, "waiting")
        return "pause"

    def on_set_aside(self, number: int, entries: list[dict[str, Any]]) -> None:
        """Note what a trial found damaged in the store."""
        self._ledger.set_aside(number, entries)

    def on_rung(self, number: int, report: dict[str, Any]) -> Action:
        """Note a rung's score and decide.

        Args:
            number: The trial.
            report: Fields of ``RungReport`` less arrival and time.

        Returns:
            ``stop`` at the last rung or if training diverged; ``continue`` if the trial is promoted
            at once or is not subject to pruning; else ``pause``.
        """
        progress = self._roster[number]
        record = progress.record
        if record.is_final:
            return "stop"
        if report["rung"] < len(record.rungs):
            return "continue"  # A trial that was tried again tells what is on record.
        at = self._ledger.clock()
        self._ledger.rung(record, RungReport(**report, arrival=self._num_arrivals, reported_at=at))
        self._num_arrivals += 1
        self._competition.enter(progress)
        action = self._decide(progress)
        if action == "pause" and self._due() is progress:
            self.start(number)
            return "continue"
        return action

    def on_failure(self, number: int, error: str) -> None:
        """Note that a trial failed for good."""
        progress = self._roster[number]
        self._claims.release(progress)
        if not progress.record.is_final:
            self._finish(progress, "failed", error)

    def suspend(self) -> None:
        """Take the slots of what still runs: the run is interrupted, nothing of it is lost."""
        for progress in self._roster.having("running"):
            self._roster.move(progress, "waiting")
        self._claims.clear()

    # Decisions.

    def _go_on(self, progress: Progress) -> Action:
        """Let a trial that has a further stage have its next, unless another is training it."""
        if self._claims.blocks(progress):
            self._roster.move(progress, "waiting")
            return "pause"
        self._claims.take(progress)
        return "continue"

    def _decide(self, progress: Progress) -> Action:
        """Decide on a trial's latest report; a promotion by rank comes later, if it comes."""
        record = progress.record
        rung = record.rungs[-1].rung
        if math.isnan(record.score):
            self._ledger.decide(record, rung, "stop")
            self._finish(progress, "failed", record.why_nan)
            return "stop"
        if rung == progress.last_rung:
            self._ledger.decide(record, rung, "complete")
            self._finish(progress, "complete")
            return "stop"
        if record.proposal.phase != "search" or rung < record.proposal.bracket:
            self._competition.promote(progress, rung)
            self._ledger.decide(record, rung, "promote")
            return "continue"
        self._ledger.decide(record, rung, "pause")
        self._roster.move(progress, "paused")
        return "pause"

    def _due(self) -> Progress | None:
        """Return what goes on: a trial under way without a slot, else a promotion."""
        while True:
            under_way = self._roster.first_waiting(has_started=True, is_held_up=self._claims.blocks)
            if under_way is not None:
                return under_way
            members = next(self._competition.promotable(), None)
            if members is None:
                return None
            self._promote(members)

    def _fresh(self) -> Progress | None:
        """Return the first trial that has yet to start and is not held up."""
        return self._roster.first_waiting(has_started=False, is_held_up=self._claims.blocks)

    def _promote(self, members: list[Progress]) -> None:
        """Let paused trials that compete as one go on."""
        for member in members:
            rung = member.record.rungs[-1].rung
            self._competition.promote(member, rung)
            self._ledger.decide(member.record, rung, "promote")
            self._roster.move(member, "waiting")

    def _promote_unfinished(self) -> bool:
        """Send on the best of a bracket in which nothing has finished; whether there was one."""
        members = next(self._competition.unfinished_best(), None)
        if members:
            self._promote(members)
        return members is not None

    def _settle(self) -> bool:
        """Prune what still waits for a promotion that will not come; whether there was any."""
        paused = self._roster.having("paused")
        for progress in paused:
            self._ledger.decide(progress.record, progress.record.rungs[-1].rung, "stop")
            self._finish(progress, "pruned")
            self._settled.append(progress.record.number)
        return bool(paused)

    def _finish(self, progress: Progress, status: str, error: str = "") -> None:
        self._ledger.finish(progress.record, status, error)
        self._roster.settle(progress)

    # New trials.

    @property
    def _is_exhausted(self) -> bool:
        """Whether no further suggestion is due: the budget is spent, or there is nothing new."""
        return (
            self._roster.num_suggested >= self.study.search.num_trials
            or self._num_repeats >= MAX_REPEATS
            or not self._has_unseen
        )

    @property
    def _has_unseen(self) -> bool:
        """Whether any (sequence, target) is left; always so with sampled hyperparameters."""
        size = self.study.space.size * len(self.study.targets)
        return is_endless(self.study) or self._roster.num_seen < size

    def _suggestion(self) -> Progress | None:
        """Ask the sampler for a new trial, within the budget; not while enough are held up."""
        while self._roster.count("waiting") < self.max_concurrent and not self._is_exhausted:
            for progress in self._accept(self._ledger.suggest()):
                if not self._claims.blocks(progress):
                    return progress
        return None

    def _accept(self, suggestion: Suggestion) -> list[Progress]:
        """Take in the trials of one suggestion; one that repeats a paused trial resumes it."""
        proposals = proposals_of(self.study, suggestion.number, suggestion.parameters)
        repeated = self._roster.find(proposals[0].key)
        if repeated is not None:
            # A sampler that asks for a paused trial again wants it to go on, whatever its rank.
            resumed = [
                member
                for member in self._roster.competing_as(repeated.entity)
                if member.record.status == "paused"
            ]
            if resumed:
                self._promote(resumed)
            elif repeated.is_final:
                self._num_repeats += 1
            self._ledger.repeat(suggestion.number, repeated)
            return resumed
        self._num_repeats = 0
        first = self._adopt(self._ledger.accept(suggestion.number, proposals[0]))
        return [first, *self._add(proposals[1:])]

    def _unconfirmed(self) -> list[Proposal]:
        """Return the confirmations that are still to be added."""
        planned = confirmations(self.study, self.records)
        return [proposal for proposal in planned if self._roster.find(proposal.key) is None]

    def _confirm(self) -> bool:
        """Add the confirmations on fresh seeds; whether any is new."""
        return bool(self._add(self._unconfirmed()))

    def _add(self, proposals: list[Proposal]) -> list[Progress]:
        return [self._adopt(self._ledger.add(proposal)) for proposal in proposals]

    def _adopt(self, record: TrialRecord) -> Progress:
        return self._roster.add(Progress(record, record.plan(self._planner)))

    # From the ledger alone.

    def _rebuild(self) -> None:
        """Take in what the ledger holds and finish what its last write left half done."""
        found = self._ledger.rebuild()
        for record in found.records:
            self._adopt(record)
            self._credited.update(s.fingerprint for s in record.stages if not s.reused)
        self._num_repeats = found.num_repeats
        members = group_members(self.study, self.records)
        self._add([p for p in members if self._roster.find(p.key) is None])
        self._add([p for p in planned(self.study) if self._roster.find(p.key) is None])
        for number in found.unnoted:
            self._accept(self._ledger.suggest_again(number))
        self._num_arrivals = replay(self._roster, self._competition)
        for progress in list(self._roster):
            self._finish_decision(progress)

    def _finish_decision(self, progress: Progress) -> None:
        """Carry out what was decided on a trial's last report, or decide."""
        record = progress.record
        if record.is_final or not record.rungs:
            return
        rung = record.rungs[-1].rung
        decision = record.decisions.get(rung)
        if decision is None or decision == "complete":
            self._decide(progress)
        elif decision == "stop":
            diverged = math.isnan(record.score)
            error = record.why_nan if diverged else ""
            self._finish(progress, "failed" if diverged else "pruned", error)
        elif decision == "pause":
            group = self._roster.competing_as(record.entity)
            if any(member.record.decisions.get(rung) == "promote" for member in group):
                self._promote([progress])
