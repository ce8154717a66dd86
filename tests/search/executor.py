"""Drives a coordinator over a synthetic score table: slots and a store, no Ray and no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
import yaml

from search.coordinator import Coordinator
from search.ledger import Ledger
from search.roster import Progress
from search.samplers import make_sampler
from spaces.planner import Planner, TaskData
from spaces.reports import StageReport
from spaces.study import Study, parse_study
from trainables.preparation import study_streams

RUN = "run-1"

#: (sequence, target, seed, rung) to a score; an exception is a failure of the trial.
ScoreTable = Callable[[str, str, int, int], float]


def make_study(*overrides: str, **content: Any) -> Study:
    """Make a small study: three intermediate tasks, two targets, three rungs of 4, 12, 36 steps."""
    base = {
        "name": "synthetic",
        "model": {"name": "mini"},
        "intermediate": {"tasks": ["mnli", "qqp", "squad1"], "max_length": 2},
        "targets": ["xnli", "udpos"],
        "training": {"max_steps": 36},
        "search": {
            "num_trials": 10,
            "sampler": "random",
            "asha": {"reduction_factor": 3, "num_rungs": 3},
            "confirm": {"top": 1, "seeds": 2},
        },
    }
    return parse_study(yaml.safe_dump({**base, **content}, sort_keys=False), "test", overrides)


def make_planner(study: Study) -> Planner:
    catalogue = study.catalogue()
    streams = study_streams(study)
    data = {str(stream): TaskData(100, f"data of {stream}") for stream in streams}
    return Planner(study, {s.task: catalogue[s.task] for s in streams}, data, "base")


def smooth_scores(sequence: str, target: str, seed: int, rung: int) -> float:
    """Score by name alone: spread over 0 to 100, ranks much alike at all rungs."""

    def unit(text: str) -> float:
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32

    name = f"{sequence}|{target}"
    return 20 * rung + 50 * unit(name) + 5 * unit(f"{name}|{seed}|{rung}")


def virtual_clock() -> Callable[[], datetime]:
    """Return a clock that goes on by a second at every look."""
    ticks: Iterator[int] = iter(range(10**9))
    return lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(ticks))


@dataclass
class Executor:
    """The machine under a coordinator: it outlives the driver as a stage store does.

    Attributes:
        pick: Chooses which of n running trials reports next.
        store: Fingerprints of the stages that were trained.
        trained: Every training of a stage, in order.
        log: What was reported, in order.
        most_running: The most slots that were ever taken.
    """

    scores: ScoreTable = smooth_scores
    pick: Callable[[int], int] = lambda num_running: 0
    store: set[str] = field(default_factory=set)
    trained: list[str] = field(default_factory=list)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    most_running: int = 0

    def drive(self, coordinator: Coordinator, *, max_events: int = 100_000) -> bool:
        """Run until nothing is left or ``max_events`` were reported; whether it is finished."""
        running = [r.number for r in coordinator.records if r.status == "running"]
        for _ in range(max_events):
            while (chosen := coordinator.select()) is not None:
                running.append(chosen.record.number)
                coordinator.start(chosen.record.number)
            self.most_running = max(self.most_running, len(running))
            assert coordinator.num_running == len(running)
            if not running:
                return True
            self._check_hands([coordinator.progress(number) for number in running])
            number = self.choose(running)
            action = self._report(coordinator, number)
            if action != "continue":
                running.remove(number)
        return False

    def choose(self, running: list[int]) -> int:
        """Return which of the running trials reports next."""
        return running[self.pick(len(running))]

    def _check_hands(self, running: list[Progress]) -> None:
        wanted = [progress.next_stage for progress in running if progress.next_stage]
        assert len(set(wanted)) == len(wanted), "a stage is in two hands at once"

    def _report(self, coordinator: Coordinator, number: int) -> str:
        progress = coordinator.progress(number)
        plan, record = progress.plan, progress.record
        if progress.next_stage is not None:
            stage = plan.stages[len(record.stages)]
            reused = stage.fingerprint in self.store
            if not reused:
                self.store.add(stage.fingerprint)
                self.trained.append(stage.fingerprint)
            self.log.append(("stage", number, stage.sequence))
            return coordinator.on_stage(
                number,
                StageReport(
                    stage.fingerprint, stage.parent, stage.sequence, stage.settings.steps,
                    1.0, 1000, reused, RUN if reused else "",
                ),
            )  # fmt: skip
        rung = len(record.rungs)
        try:
            score = self.scores(plan.sequence, plan.target, plan.seed, rung)
        except ArithmeticError as error:
            self.log.append(("failure", number, str(error)))
            coordinator.on_failure(number, str(error))
            return "stop"
        self.log.append(("rung", number, rung))
        row = {"language": "en", "split": "dev", "metric": "accuracy", "value": score,
               "num_examples": 10, "selected_on": True, "headline": True}  # fmt: skip
        before = plan.budgets[rung - 1] if rung else 0
        return coordinator.on_rung(
            number,
            {
                "rung": rung,
                "budget_steps": plan.budgets[rung],
                "score": score,
                "scores": (row,),
                "steps_trained": plan.budgets[rung] - before,
                "wall_s": 1.0,
            },
        )


def make_coordinator(
    study: Study, storage: str | optuna.storages.BaseStorage, *, slots: int = 1
) -> Coordinator:
    ledger = Ledger(study, storage, make_sampler(study), clock=virtual_clock())
    return Coordinator(study, make_planner(study), ledger, max_concurrent=slots, run_id=RUN)


def outcome(coordinator: Coordinator) -> list[tuple[Any, ...]]:
    """What became of every trial, without points in time."""
    return [
        (
            record.number,
            record.proposal.key,
            record.proposal.phase,
            record.proposal.group,
            record.status,
            record.error,
            tuple(record.decisions.items()),
            tuple((r.rung, r.budget_steps, repr(r.score), r.arrival) for r in record.rungs),
            tuple((stage.fingerprint, stage.reused) for stage in record.stages),
        )
        for record in coordinator.records
    ]
