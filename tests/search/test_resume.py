"""A driver may be killed at any write: a new one on the same storage ends where it would have."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import optuna
import pytest

from spaces.study import Study
from tests.search.executor import Executor, make_coordinator, make_study, outcome, smooth_scores


class Killed(BaseException):
    """The driver's end, between two writes."""


class MortalStorage(optuna.storages.InMemoryStorage):
    """Ends its driver before a given write. Each write is one transaction of a real storage."""

    def __init__(self) -> None:
        super().__init__()
        self.num_writes = 0
        self.dies_at: int | None = None

    def _write(self) -> None:
        if self.num_writes == self.dies_at:
            raise Killed
        self.num_writes += 1

    def create_new_trial(self, *args: Any, **kwargs: Any) -> int:
        self._write()
        return super().create_new_trial(*args, **kwargs)

    def set_trial_param(self, *args: Any, **kwargs: Any) -> None:
        self._write()
        super().set_trial_param(*args, **kwargs)

    def set_trial_state_values(self, *args: Any, **kwargs: Any) -> bool:
        self._write()
        return super().set_trial_state_values(*args, **kwargs)

    def set_trial_intermediate_value(self, *args: Any, **kwargs: Any) -> None:
        self._write()
        super().set_trial_intermediate_value(*args, **kwargs)

    def set_trial_user_attr(self, *args: Any, **kwargs: Any) -> None:
        self._write()
        super().set_trial_user_attr(*args, **kwargs)


def optuna_view(study: Study, storage: optuna.storages.BaseStorage) -> list[tuple[Any, ...]]:
    trials = optuna.load_study(study_name=study.name, storage=storage).trials
    return [
        (t.number, t.state.name, t.params, repr(t.values), repr(t.intermediate_values))
        for t in trials
    ]


def run_with_kills(study: Study, kills: list[int]) -> tuple[Any, ...]:
    """Run a study to its end, killing the driver before each of the given writes."""
    storage, executor = MortalStorage(), Executor()
    remaining = sorted(kills)
    while True:
        storage.dies_at = remaining.pop(0) if remaining else None
        try:
            coordinator = make_coordinator(study, storage)
            assert executor.drive(coordinator)
        except Killed:
            continue
        assert len(set(executor.trained)) == len(executor.trained)
        return outcome(coordinator), optuna_view(study, storage), storage.num_writes


STUDIES = {
    "per target": ("search.num_trials=7",),
    "average": ("search.num_trials=6", "objective=average"),
    "tpe": ("search.num_trials=7", "search.sampler=tpe"),
    "surrogate": ("search.num_trials=7", "search.sampler=sequence"),
    "no baselines": ("search.num_trials=5", "search.baselines=false"),
    "exhausted": ("search.num_trials=50", "intermediate.max_length=1", "search.baselines=false"),
}


#: Every write is tried, but every so many where a suggestion is slow and only the sampler differs.
STRIDES = {"tpe": 12, "surrogate": 3}


@pytest.mark.parametrize("name", STUDIES)
def test_killed_once_before_any_write_it_ends_the_same(name):
    study = make_study("search.confirm.seeds=1", *STUDIES[name], targets=["xnli", "tatoeba"])
    uninterrupted = run_with_kills(study, [])
    for write in range(0, uninterrupted[2], STRIDES.get(name, 1)):
        assert run_with_kills(study, [write])[:2] == uninterrupted[:2], f"killed at write {write}"


def test_killed_again_and_again_it_ends_the_same():
    study = make_study("search.num_trials=8", "search.sampler=sequence")
    uninterrupted = run_with_kills(study, [])
    kills = list(range(0, 4 * uninterrupted[2], 7))
    assert run_with_kills(study, kills)[:2] == uninterrupted[:2]


def test_a_finished_run_stays_as_it_is():
    for overrides in (["search.num_trials=6"], ["search.num_trials=18", "search.sampler=tpe"]):
        study = make_study(*overrides)
        storage = MortalStorage()
        executor = Executor()
        coordinator = make_coordinator(study, storage)
        assert executor.drive(coordinator)
        writes = storage.num_writes
        again = make_coordinator(study, storage)
        assert again.is_finished
        assert again.select() is None
        assert storage.num_writes == writes
        assert outcome(again) == outcome(coordinator)


def test_interrupted_with_many_slots_nothing_is_lost_or_doubled():
    study = make_study("search.num_trials=12", "search.sampler=sequence")
    for events in range(3, 90, 5):
        storage = optuna.storages.InMemoryStorage()
        executor = Executor(pick=lambda num_running: num_running // 2)
        first = make_coordinator(study, storage, slots=4)
        executor.drive(first, max_events=events)
        first.suspend()
        before = {number: rest for number, *rest in outcome(first)}
        second = make_coordinator(study, storage, slots=4)
        assert executor.drive(second)
        assert second.is_finished
        assert len(set(executor.trained)) == len(executor.trained)
        keys = [record.proposal.key for record in second.records]
        assert len(set(keys)) == len(keys)
        assert sum(record.proposal.phase == "search" for record in second.records) == 12
        for number, (key, *_, rungs, stages) in before.items():
            record = second.progress(number).record
            assert record.proposal.key == key
            kept = tuple((r.rung, r.budget_steps, repr(r.score), r.arrival) for r in record.rungs)
            assert kept[: len(rungs)] == rungs
            fingerprints = [stage.fingerprint for stage in record.stages]
            assert fingerprints[: len(stages)] == [fingerprint for fingerprint, _ in stages]


_SCRIPT = """
import optuna
from tests.search.executor import Executor, make_coordinator, make_study, outcome
for sampler in ("random", "sequence", "tpe"):
    study = make_study(
        f"search.sampler={sampler}", "hyperparameters.target.dropout={uniform: [0, 0.3]}"
    )
    coordinator = make_coordinator(study, optuna.storages.InMemoryStorage())
    assert Executor().drive(coordinator)
    print(outcome(coordinator))
"""


def test_the_same_seed_gives_the_same_trials_in_every_process():
    printed = set()
    for hash_seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        printed.add(done.stdout)
    assert len(printed) == 1


def test_another_seed_gives_other_trials():
    outcomes = []
    for seed in (0, 1):
        coordinator = make_coordinator(make_study(f"seed={seed}"), MortalStorage())
        assert Executor(smooth_scores).drive(coordinator)
        outcomes.append([str(record.proposal.sequence) for record in coordinator.records])
    assert outcomes[0] != outcomes[1]
