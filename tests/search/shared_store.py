"""A run without Ray on a real stage store: what the trainable does is done here, unit by unit."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import optuna
import torch
from rich.console import Console

from search.coordinator import Coordinator
from search.keeper import StoreKeeper
from search.ledger import Ledger
from search.samplers import make_sampler
from spaces.plan import TrialPlan
from spaces.reports import StageReport
from spaces.study import Study
from tests.search.executor import make_planner, smooth_scores, virtual_clock
from trainables.lineage import found_stage, num_lost
from trainables.progress import progress_key
from trainables.storage.errors import EntryLostError
from trainables.storage.weighing import Aside
from trainables.store import StageStore

#: Bytes of a checkpoint, about.
SIZE = 4000


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def at_once(work: Callable[[], int]) -> Future[int]:
    """Do a piece of work now, so that what follows from it does not depend on threads."""
    future: Future[int] = Future()
    future.set_result(work())
    return future


@dataclass
class Run:
    """One run.

    Attributes:
        trained: Every training of a stage by it, in order.
        told: What the user was told.
    """

    url: str
    name: str
    study: Study
    clock: Clock
    slots: int = 1
    max_size_gb: float | None = None
    storage: Any = field(default_factory=optuna.storages.InMemoryStorage)
    trained: list[str] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    told: io.StringIO = field(default_factory=io.StringIO)
    on_store: Callable[[StageStore], None] = lambda store: None
    aside: Aside = at_once

    def __enter__(self) -> Run:
        self.store = StageStore(self.url)
        drivers = StageStore(self.url, run=self.name)
        for store in (self.store, drivers):
            self.on_store(store)
        self.ledger = Ledger(
            self.study, self.storage, make_sampler(self.study), clock=virtual_clock()
        )
        self.keeper = StoreKeeper(
            drivers,
            self.max_size_gb,
            self.ledger,
            Console(file=self.told, width=500),
            clock=self.clock,
            aside=self.aside,
        )
        self.keeper.__enter__()
        self.coordinator = Coordinator(
            self.study,
            make_planner(self.study),
            self.ledger,
            max_concurrent=self.slots,
            run_id=self.name,
            shared=self.keeper,
        )
        self.keeper.serve(
            lambda: [self.coordinator.progress(r.number) for r in self.coordinator.records]
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.coordinator.suspend()
        self.keeper.__exit__(*error)

    def fill(self) -> None:
        while (chosen := self.coordinator.select()) is not None:
            self.running.append(chosen.record.number)
            self.coordinator.start(chosen.record.number)

    def step(self) -> bool:
        """Let one running trial do its next unit; whether there was one."""
        self.fill()
        if self.running:
            number = self.running[0]
            try:
                action = self.unit(number)
            except EntryLostError as error:
                action = self.coordinator.on_lost(number, str(error))
            if found := self.store.take_report().quarantined:
                self.coordinator.on_set_aside(number, [entry.to_json() for entry in found])
            if action != "continue":
                self.running.remove(number)
        self.keeper.tidy()
        self.keeper.sweep()
        self.keeper.tell_set_aside()
        self.clock.now += 6
        return bool(self.running)

    def drive(self, max_units: int = 10_000) -> None:
        for _ in range(max_units):
            self.step()
            if self.coordinator.is_finished:
                return
        raise AssertionError("the run does not end")

    def unit(self, number: int) -> str:
        progress = self.coordinator.progress(number)
        plan, record = progress.plan, progress.record
        done = len(record.stages)
        lost = num_lost(self.store, plan, done)
        if lost:
            return self.coordinator.on_rebuilt(number, self.have(plan, done - lost))
        if done < len(plan.stages):
            return self.coordinator.on_stage(number, self.have(plan, done))
        self.load_parent(plan, done)
        rung = len(record.rungs)
        if rung + 1 < len(plan.budgets):
            key = progress_key(plan, plan.budgets[rung])
            self.store.put("progress", key, {"x": torch.zeros(SIZE // 4)}, {"steps": 4})
        if rung:
            entry = self.store.get("progress", progress_key(plan, plan.budgets[rung - 1]))
            assert entry is not None, "a trial under way has lost its fine-tuning"
        score = smooth_scores(plan.sequence, plan.target, plan.seed, rung)
        before = plan.budgets[rung - 1] if rung else 0
        report = {
            "rung": rung,
            "budget_steps": plan.budgets[rung],
            "score": score,
            "scores": (),
            "steps_trained": plan.budgets[rung] - before,
            "wall_s": 1.0,
        }
        return self.coordinator.on_rung(number, report)

    def have(self, plan: TrialPlan, index: int) -> StageReport:
        found = found_stage(self.store, plan, index)
        if found is not None:
            return found
        self.load_parent(plan, index)
        stage = plan.stages[index]
        notes = {
            "parent": stage.parent,
            "steps": stage.settings.steps,
            "wall_s": 1.0,
            "run": self.name,
        }
        entry = self.store.put(
            "stages", stage.fingerprint, {"x": torch.zeros(SIZE // 4)}, {**notes}
        )
        self.trained.append(stage.fingerprint)
        return StageReport(
            stage.fingerprint,
            stage.parent,
            stage.sequence,
            stage.settings.steps,
            1.0,
            entry.size_bytes,
            False,
        )

    def load_parent(self, plan: TrialPlan, index: int) -> None:
        if index:
            parent = plan.stages[index - 1].fingerprint
            entry = self.store.get("stages", parent)
            if entry is None:
                raise EntryLostError("stages", parent, "it is gone")
            self.store.load(entry)
