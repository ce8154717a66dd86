"""The coordinator: what runs next, and what becomes of a report. No Ray, no clock of its own.

Its inputs are reports in their order of arrival; its outputs are trials to start and decisions. It
holds nothing that is not in the ledger, so it is rebuilt from there after any interruption. The
Ray adapters and the simulator drive the same coordinator.

Order of work when a slot is free: a promotion (highest rung first), a trial that waits (baselines,
trials of an interrupted run, confirmations), a new suggestion. A trial whose next stage is being
trained by another waits without holding a slot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from search.asha import Bracket
from search.ledger import Ledger, decode_sequence, now
from search.trials import Proposal, RungReport, StageReport, TrialRecord
from spaces.plan import Planner, TrialPlan
from spaces.sequences import Sequence, Stage
from spaces.study import Study

Action = Literal["continue", "pause", "stop"]

#: Suggestions that repeat earlier trials before a sampler is taken to have nothing new.
MAX_REPEATS = 50


@dataclass
class Progress:
    """Where a trial stands, beside its record."""

    record: TrialRecord
    plan: TrialPlan

    @property
    def next_stage(self) -> str | None:
        """Fingerprint of the stage it needs next; ``None`` when it has them all."""
        done = len(self.record.stages)
        return self.plan.stages[done].fingerprint if done < len(self.plan.stages) else None

    @property
    def next_rung(self) -> int:
        """The rung it reports at next."""
        return len(self.record.rungs)


class Coordinator:
    """The search's decisions.

    Args:
        study: The study.
        planner: Resolves proposals to plans.
        ledger: The durable record.
        max_concurrent: Slots.
        run_id: Identity of this run in the store's notes.
    """

    def __init__(
        self,
        study: Study,
        planner: Planner,
        ledger: Ledger,
        *,
        max_concurrent: int,
        run_id: str = "",
    ) -> None:
        self._run_id = run_id
        self.study = study
        self.max_concurrent = max_concurrent
        self._planner = planner
        self._ledger = ledger
        self._trials: dict[int, Progress] = {}
        self._keys: dict[tuple[Any, ...], TrialRecord] = {}
        self._brackets: dict[str, Bracket] = {}
        self._in_flight: dict[str, int] = {}
        self._arrivals = 0
        self._exhausted = False
        self._confirmed = False
        self._rebuild()

    # -- what there is ---------------------------------------------------------------------------

    @property
    def records(self) -> list[TrialRecord]:
        """Every trial's record, in the order they were asked."""
        return [progress.record for progress in self._trials.values()]

    def progress(self, number: int) -> Progress:
        """Return a trial's record and plan."""
        return self._trials[number]

    @property
    def num_running(self) -> int:
        """Trials that hold a slot."""
        return sum(p.record.status == "running" for p in self._trials.values())

    @property
    def is_finished(self) -> bool:
        """Whether nothing runs and nothing is left to run."""
        return self.select() is None and self.num_running == 0

    # -- what runs next --------------------------------------------------------------------------

    def select(self) -> Progress | None:
        """Return the trial that should take a free slot; ``None`` if there is none (yet)."""
        if self.num_running >= self.max_concurrent:
            return None
        while True:
            chosen = self._promotion() or self._waiting() or self._suggestion()
            if chosen is not None or self.num_running:
                return chosen
            # Nothing runs and nothing is due: the search is over, or what waits is decided now.
            if not self._last_promotions() and not self._settle() and not self._confirm():
                return None

    def start(self, number: int) -> None:
        """Give a trial a slot."""
        progress = self._trials[number]
        if progress.record.status == "paused" and progress.record.rungs:
            self._promote(progress.record)
        progress.record.status = "running"
        self._ledger.start(progress.record)
        self._claim(progress)

    # -- what is reported ------------------------------------------------------------------------

    def on_stage(self, number: int, report: StageReport) -> Action:
        """Note a stage; ``pause`` if the trial's next stage is being trained by another."""
        progress = self._trials[number]
        self._release(number)
        if report.reused and report.run == self._run_id and not self._is_credited(report):
            # Trained by this run, whose driver died before it heard of it.
            report = replace(report, reused=False)
        self._ledger.stage(progress.record, report)
        if self._is_blocked(progress):
            progress.record.status = "waiting"
            return "pause"
        self._claim(progress)
        return "continue"

    def on_rung(self, number: int, report: dict[str, Any]) -> Action:
        """Note a rung's score and decide.

        Args:
            number: The trial.
            report: Fields of ``RungReport`` less arrival and time.

        Returns:
            ``stop`` at the last rung; ``continue`` if the trial is promoted at once or is not
            subject to pruning; else ``pause``.
        """
        progress = self._trials[number]
        record = progress.record
        rung = RungReport(**report, arrival=self._arrivals, reported_at=now())
        self._arrivals += 1
        self._ledger.rung(record, rung)
        self._enter(record)
        if rung.rung == len(progress.plan.budgets) - 1:
            self._ledger.decide(record, rung.rung, "complete")
            failed = math.isnan(rung.score)
            self._ledger.finish(
                record, "failed" if failed else "complete", "the score is NaN" if failed else ""
            )
            return "stop"
        if record.proposal.phase != "search" and not math.isnan(rung.score):
            self._promote(record)
            return "continue"
        record.status = "paused"
        self._ledger.decide(record, rung.rung, "pause")
        if self._promotion() is progress:
            self.start(number)
            return "continue"
        return "pause"

    def on_failure(self, number: int, error: str) -> None:
        """Note that a trial failed for good."""
        self._release(number)
        record = self._trials[number].record
        if not record.is_final:
            self._ledger.finish(record, "failed", error)

    def suspend(self) -> None:
        """Take the slots of what still runs: the run is interrupted, nothing of it is lost."""
        for progress in self._trials.values():
            if progress.record.status == "running":
                progress.record.status = "waiting"
        self._in_flight.clear()

    # -- inside ----------------------------------------------------------------------------------

    def _rebuild(self) -> None:
        for record in self._ledger.load():
            self._adopt(record)
        arrivals = sorted(
            (report.arrival, record.number) for record in self.records for report in record.rungs
        )
        self._arrivals = arrivals[-1][0] + 1 if arrivals else 0
        seen: dict[int, int] = {}
        for _, number in arrivals:
            record = self._trials[number].record
            seen[number] = seen.get(number, -1) + 1
            self._enter(record, seen[number])
        for record in self.records:
            for rung, decision in record.decisions.items():
                if decision == "promote":
                    self._bracket(record).promote(rung, record.entity)
            if record.status == "paused" and record.decisions.get(len(record.rungs) - 1) != "pause":
                record.status = "waiting"
        if self.study.search.baselines:
            for proposal in self._baselines():
                if proposal.key not in self._keys:
                    self._adopt(self._ledger.add(proposal))

    def _adopt(self, record: TrialRecord) -> Progress:
        proposal = record.proposal
        plan = self._planner.plan(
            record.number,
            proposal.sequence,
            proposal.target,
            seed=proposal.seed,
            hyperparameters=dict(proposal.hyperparameters),
        )
        progress = Progress(record, plan)
        self._trials[record.number] = progress
        self._keys.setdefault(proposal.key, record)
        return progress

    def _baselines(self) -> Iterator[Proposal]:
        """Yield the references: no intermediate task, each single one, all at once."""
        tasks = self.study.intermediate.tasks
        sequences = [Sequence(), *(Sequence.of(task) for task in tasks)]
        if len(tasks) > 1:
            sequences.append(Sequence((Stage(tasks),)))
        for sequence in sequences:
            for target in self.study.targets:
                yield Proposal(sequence, target.name, self.study.seed, "baseline")

    def _bracket(self, record: TrialRecord) -> Bracket:
        key = "average" if record.proposal.group else record.proposal.target
        if key not in self._brackets:
            asha = self.study.search.asha
            num_rungs = len(self._trials[record.number].plan.budgets)
            self._brackets[key] = Bracket(asha.reduction_factor if asha else 2, num_rungs)
        return self._brackets[key]

    def _enter(self, record: TrialRecord, index: int = -1) -> None:
        """Enter a report into its bracket; a group's when its last member has reported."""
        if record.proposal.phase == "confirm":
            return
        report = record.rungs[index]
        members = self._members(record)
        scores = [m.rungs[report.rung].score for m in members if len(m.rungs) > report.rung]
        if len(scores) == len(members):
            mean = sum(scores) / len(scores)
            self._bracket(record).report(report.rung, record.entity, mean, report.arrival)

    def _members(self, record: TrialRecord) -> list[TrialRecord]:
        if not record.proposal.group:
            return [record]
        return [r for r in self.records if r.proposal.group == record.proposal.group]

    def _promote(self, record: TrialRecord) -> None:
        rung = len(record.rungs) - 1
        self._ledger.decide(record, rung, "promote")
        self._bracket(record).promote(rung, record.entity)

    def _promotion(self) -> Progress | None:
        if self.study.search.asha is None:
            return next((p for p in self._trials.values() if p.record.status == "paused"), None)
        due = [
            (-rung, bracket_number, order, entity)
            for bracket_number, bracket in enumerate(self._brackets.values())
            for order, (rung, entity) in enumerate(bracket.promotable())
        ]
        for rung, _, _, entity in sorted(due):
            for progress in self._trials.values():
                record = progress.record
                if record.entity == entity and record.status == "paused":
                    if len(record.rungs) - 1 == -rung:
                        return progress
        # A group's members go on one by one; the first of them marks the group as promoted.
        for progress in self._trials.values():
            record = progress.record
            if record.status == "paused" and record.proposal.group:
                rung = len(record.rungs) - 1
                if any(m.decisions.get(rung) == "promote" for m in self._members(record)):
                    return progress
        return None

    def _waiting(self) -> Progress | None:
        for progress in self._trials.values():
            if progress.record.status == "waiting" and not self._is_blocked(progress):
                return progress
        return None

    def _is_blocked(self, progress: Progress) -> bool:
        stage = progress.next_stage
        holder = self._in_flight.get(stage) if stage else None
        return holder is not None and holder != progress.record.number

    def _is_credited(self, report: StageReport) -> bool:
        """Whether a trial of this run is on record as having trained a stage."""
        return any(
            stage.fingerprint == report.fingerprint and not stage.reused
            for record in self.records
            for stage in record.stages
        )

    def _claim(self, progress: Progress) -> None:
        if progress.next_stage is not None:
            self._in_flight[progress.next_stage] = progress.record.number

    def _release(self, number: int) -> None:
        self._in_flight = {s: holder for s, holder in self._in_flight.items() if holder != number}

    def _suggestion(self) -> Progress | None:
        """Ask the sampler for a new trial, within the budget of trials."""
        blocked = sum(p.record.status == "waiting" for p in self._trials.values())
        while not self._exhausted and blocked < self.max_concurrent:
            asked = sum(r.proposal.phase == "search" for r in self.records)
            if asked >= self.study.search.num_trials or not self._has_unseen():
                self._exhausted = True
                break
            new = self._ask()
            if not new:
                self._exhausted = True
                break
            for progress in new:
                if not self._is_blocked(progress):
                    return progress
                blocked += 1
        return None

    def _has_unseen(self) -> bool:
        """Whether any (sequence, target) is left; always so with sampled hyperparameters."""
        if any(not isinstance(v, int | float | str) for v in self.study.hyperparameters.values()):
            return True
        seen = {
            (str(r.proposal.sequence), r.proposal.target)
            for r in self.records
            if r.proposal.sequence in self.study.space and r.proposal.seed == self.study.seed
        }
        return len(seen) < self.study.space.size * len(self.study.targets)

    def _ask(self) -> list[Progress]:
        """Return the trials of one new suggestion; none if the sampler only repeats itself."""
        for _ in range(MAX_REPEATS):
            suggestion = self._ledger.suggest()
            number, parameters = suggestion["number"], suggestion["parameters"]
            sequence = decode_sequence(parameters)
            values = {
                name: parameters[name] for name in self.study.hyperparameters if name in parameters
            }
            grouped = self.study.objective == "average"
            targets = (
                [target.name for target in self.study.targets]
                if grouped
                else [parameters["target"]]
            )
            group = f"g{number}" if grouped else ""
            proposals = [
                Proposal(sequence, target, self.study.seed, "search", group, values)
                for target in targets
            ]
            repeated = self._keys.get(proposals[0].key)
            if repeated is not None:
                self._ledger.repeat(number, repeated)
                continue
            first = self._adopt(self._ledger.accept(number, proposals[0]))
            others = [self._adopt(self._ledger.add(proposal)) for proposal in proposals[1:]]
            return [first, *others]
        return []

    def _last_promotions(self) -> bool:
        """Send the best of a bracket on that nobody has finished; whether there was one."""
        for bracket in self._brackets.values():
            waiting = bracket.best_waiting()
            if waiting is None:
                continue
            for record in self.records:
                if record.entity == waiting[1] and record.status == "paused":
                    self._promote(record)
                    record.status = "waiting"
                    return True
        return False

    def _settle(self) -> bool:
        """Prune what still waits for a promotion that will not come; whether there was any."""
        paused = [record for record in self.records if record.status == "paused"]
        for record in paused:
            self._ledger.decide(record, len(record.rungs) - 1, "stop")
            self._ledger.finish(record, "pruned")
        return bool(paused)

    def _confirm(self) -> bool:
        """Plan the confirmations on fresh seeds; whether any is new."""
        confirm = self.study.search.confirm
        if self._confirmed or confirm.top == 0:
            return False
        self._confirmed = True
        fresh = [self.study.seed + 1 + k for k in range(confirm.seeds)]
        new = 0
        for seed, target in itertools.product(fresh, self.study.targets):
            for sequence, values in self._finalists(target.name):
                proposal = Proposal(sequence, target.name, seed, "confirm", "", values)
                if proposal.key not in self._keys:
                    self._adopt(self._ledger.add(proposal))
                    new += 1
        return new > 0

    def _finalists(self, target: str) -> list[tuple[Sequence, dict[str, Any]]]:
        """Return a target's best sequences and its references, each with its hyperparameters."""
        done = [
            r
            for r in self.records
            if r.status == "complete"
            and r.proposal.phase in ("baseline", "search")
            and self._counts_for(r, target)
        ]
        tasks = self.study.intermediate.tasks
        references = [Sequence()] + ([Sequence((Stage(tasks),))] if len(tasks) > 1 else [])
        scores: dict[tuple[Any, ...], list[float]] = {}
        first: dict[tuple[Any, ...], TrialRecord] = {}
        for record in done:
            key = (
                str(record.proposal.sequence),
                tuple(sorted(record.proposal.hyperparameters.items())),
            )
            scores.setdefault(key, []).append(record.score)
            first.setdefault(key, record)
        complete = len(self.study.targets) if self.study.objective == "average" else 1
        ranked = sorted(
            (key for key in scores if len(scores[key]) >= complete),
            key=lambda key: (-sum(scores[key]) / len(scores[key]), first[key].number),
        )
        best = [key for key in ranked if first[key].proposal.sequence not in references]
        finalists = [
            (first[key].proposal.sequence, dict(first[key].proposal.hyperparameters))
            for key in best[: self.study.search.confirm.top]
        ]
        return [*((sequence, {}) for sequence in references), *finalists]

    def _counts_for(self, record: TrialRecord, target: str) -> bool:
        return self.study.objective == "average" or record.proposal.target == target
