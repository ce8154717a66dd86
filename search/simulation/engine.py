"""Drives the real coordinator under a virtual clock, in the place of Ray and the trainable.

What the Ray adapters do is done here: a trial that the coordinator selects takes a worker, does one
unit of work after the other (a stage of its sequence, or one rung of its target), and reports each;
the coordinator's answer says whether it goes on. A trial that was cut short goes before all others,
as Ray has it. Nothing is decided here, and no real time enters.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna

from search.coordinator import Action, Coordinator
from search.ledger import Ledger
from search.samplers import make_sampler
from search.simulation.clock import EventQueue, VirtualClock
from search.simulation.costs import CostModel, Fault, FaultModel
from search.simulation.incumbents import Incumbent, IncumbentCurve
from search.simulation.result import Counts, SimulationResult
from search.simulation.trainable import SimulatedTrainable
from search.simulation.workers import Workers
from spaces.arms import search_alone
from spaces.errors import InputError, TrainingError
from spaces.reports import StageReport
from spaces.study import Study

#: Identity of a simulated run in its reports.
RUN_ID = "simulation"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit of work on a worker.

    Attributes:
        worker: The worker.
        number: The trial.
        steps: What it trains; 0 for a stage that is in the store.
        duration_s: What it takes if nothing goes wrong.
        stage: Fingerprint if it trains a stage, else empty.
        fault: What cuts it short.
    """

    worker: int
    number: int
    steps: int
    duration_s: float
    stage: str
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class _Return:
    """A worker that was pre-empted is back."""

    worker: int


class Simulation:
    """One simulated run.

    Args:
        study: The study.
        trainable: Answers for training.
        workers: Number of workers; each runs one trial at a time.
        costs: What work takes.
        faults: What goes wrong.
        sampler: Suggests; the study's own if not given.
        storage: Optuna storage without a study of this name; in memory if not given.
        stop: Called with each new incumbent; the run ends at once when it returns true.
        max_steps: The run ends at once when so many optimizer steps are spent, lost ones included.

    Raises:
        InputError: No worker, an unknown sampler, or a storage that holds trials already.
    """

    def __init__(
        self,
        study: Study,
        trainable: SimulatedTrainable,
        *,
        workers: int,
        costs: CostModel | None = None,
        faults: FaultModel | None = None,
        sampler: optuna.samplers.BaseSampler | None = None,
        storage: str | optuna.storages.BaseStorage | None = None,
        stop: Callable[[Incumbent], bool] | None = None,
        max_steps: int | None = None,
    ) -> None:
        if workers < 1:
            raise InputError(f"workers: {workers} is too few; a simulation needs at least 1.")
        self.study = study = search_alone(study)
        self.clock = VirtualClock()
        self._trainable = trainable
        self._costs = costs or CostModel()
        self._faults = faults or FaultModel()
        self._stop = stop
        self._max_steps = math.inf if max_steps is None else max_steps
        self._workers = Workers(workers)
        self._events: EventQueue[_Unit | _Return] = EventQueue()
        self._ended_s = 0.0
        self._retries: deque[int] = deque()
        self._cuts: Counter[int] = Counter()
        self._failures: Counter[int] = Counter()
        self._counts = Counts()
        #: Stages in the store, with the virtual seconds that their training took.
        self._store: dict[str, float] = {}
        self._in_training: set[str] = set()
        self._latencies = array("d")
        ledger = Ledger(
            study,
            storage or optuna.storages.InMemoryStorage(),
            sampler or make_sampler(study),
            clock=self.clock.datetime,
        )
        if ledger.load():
            raise InputError(
                f"storage: it holds trials of study {study.name!r} already; a simulation starts "
                "afresh. Give another storage, or the study another name."
            )
        limit = study.search.max_concurrent
        self.coordinator = Coordinator(
            study,
            trainable.planner,
            ledger,
            max_concurrent=workers if limit == "auto" else min(workers, limit),
            run_id=RUN_ID,
        )
        self._curve = IncumbentCurve(study)

    def run(self) -> SimulationResult:
        """Run to the end; a simulation runs once."""
        self._fill()
        stopped = False
        while len(self._events) and not stopped:
            at_s, event = self._events.pop()
            self.clock.move_to(at_s)
            if isinstance(event, _Return):
                self._workers.give_back(event.worker)
            else:
                self._ended_s = at_s
                stopped = self._end(event) or self._counts.steps_spent >= self._max_steps
            if not stopped:
                self._fill()
        assert stopped or self.coordinator.is_finished, "work is left, and nobody does it"
        return SimulationResult(
            study=self.study,
            records=self.coordinator.records,
            tallies=self._workers.tallies,
            makespan_s=self._ended_s,
            counts=self._counts,
            incumbents=self._curve.history,
            latencies_s=self._latencies,
            stopped=stopped,
        )

    def _fill(self) -> None:
        """Give every free worker something to do, as far as there is."""
        while self._workers.has_free:
            if self._retries:
                number = self._retries.popleft()
            else:
                chosen = self._timed(self.coordinator.select)
                if chosen is None:
                    return
                number = chosen.record.number
                self.coordinator.start(number)
            self._begin(self._workers.take(), number)

    def _begin(self, worker: int, number: int) -> None:
        """Start a trial's next unit of work."""
        progress = self.coordinator.progress(number)
        plan, record = progress.plan, progress.record
        stage = progress.next_stage or ""
        if stage in self._store:
            steps, duration_s = 0, 0.0
        elif stage:
            assert stage not in self._in_training, f"stage {stage} is in two hands"
            self._in_training.add(stage)
            index = len(record.stages)
            steps = plan.stages[index].settings.steps
            duration_s = self._costs.stage_s(plan, index, steps)
        else:
            rung = len(record.rungs)
            steps = plan.budgets[rung] - (plan.budgets[rung - 1] if rung else 0)
            duration_s = self._costs.rung_s(plan, steps)
        done = len(record.stages) + len(record.rungs)
        fault = self._faults.fault(number, done, self._cuts[number], duration_s)
        ends_s = self.clock.now_s + self._costs.orchestration_s
        ends_s += fault.after_s if fault else duration_s
        self._events.add(ends_s, _Unit(worker, number, steps, duration_s, stage, fault))

    def _end(self, unit: _Unit) -> bool:
        """Take in the end of a unit of work; whether the run is to stop."""
        self._in_training.discard(unit.stage)
        if unit.fault is not None:
            self._cut_short(unit, unit.fault)
            return False
        self._workers.tallies[unit.worker].busy_s += unit.duration_s
        self._counts.steps_trained += unit.steps
        action = self._report_stage(unit) if unit.stage else self._report_rung(unit)
        progress = self.coordinator.progress(unit.number)
        found = self._curve.observe(progress, self.clock.now_s, self._counts.steps_spent)
        if found is not None and self._stop is not None and self._stop(found):
            return True
        if action == "continue":
            self._begin(unit.worker, unit.number)
        else:
            self._workers.give_back(unit.worker)
        return False

    def _report_stage(self, unit: _Unit) -> Action:
        progress = self.coordinator.progress(unit.number)
        stage = progress.plan.stages[len(progress.record.stages)]
        is_reused = unit.stage in self._store
        wall_s = self._store.setdefault(unit.stage, unit.duration_s)
        return self._timed(
            self.coordinator.on_stage,
            unit.number,
            StageReport(
                fingerprint=unit.stage,
                parent=stage.parent,
                sequence=stage.sequence,
                steps=stage.settings.steps,
                wall_s=wall_s,
                size_bytes=0,
                reused=is_reused,
                run=RUN_ID if is_reused else "",
            ),
        )

    def _report_rung(self, unit: _Unit) -> Action:
        progress = self.coordinator.progress(unit.number)
        try:
            report = self._trainable.run_rung(progress.plan, len(progress.record.rungs))
        except TrainingError as error:
            reason = f"{type(error).__name__}: {error}"
            self._timed(self.coordinator.on_failure, unit.number, reason)
            return "stop"
        return self._timed(
            self.coordinator.on_rung, unit.number, {**report, "wall_s": unit.duration_s}
        )

    def _cut_short(self, unit: _Unit, fault: Fault) -> None:
        """Deal with a unit that failed or lost its worker: it is done again, within limits."""
        tally = self._workers.tallies[unit.worker]
        tally.lost_s += fault.after_s
        self._counts.steps_lost += int(unit.steps * fault.after_s / unit.duration_s)
        self._cuts[unit.number] += 1
        if fault.kind == "preemption":
            self._counts.preemptions += 1
            tally.away_s += self._faults.preemption_s
            self._events.add(self.clock.now_s + self._faults.preemption_s, _Return(unit.worker))
            self._retries.append(unit.number)
            return
        self._counts.failures += 1
        self._failures[unit.number] += 1
        self._workers.give_back(unit.worker)
        if self._failures[unit.number] <= self.study.search.max_failures:
            self._retries.append(unit.number)
        else:
            self._counts.given_up += 1
            reason = f"its process died {self._failures[unit.number]} times (simulated)"
            self._timed(self.coordinator.on_failure, unit.number, reason)

    def _timed(self, call: Callable[..., T], *arguments: Any) -> T:
        """Call the coordinator and note the real seconds that it took; nothing depends on them."""
        started = time.perf_counter()
        answer = call(*arguments)
        self._latencies.append(time.perf_counter() - started)
        return answer


def simulate(
    study: Study, trainable: SimulatedTrainable, *, workers: int, **settings: Any
) -> SimulationResult:
    """Simulate a study; the arguments are those of ``Simulation``."""
    return Simulation(study, trainable, workers=workers, **settings).run()
