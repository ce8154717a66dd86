"""A run is killed between every two durable operations, of the ledger and of the store alike.

What a machine would do is done without Ray on a real store (``tests.search.shared_store``). The
driver and what trains die together, as they do when a machine fails; a resumed run must end with
the tables of an uninterrupted one, having trained no completed stage again.
"""

from __future__ import annotations

import uuid
from typing import Any

import optuna
import pytest

from search.tables import rows
from spaces.study import Study
from tests.search.executor import make_study
from tests.search.shared_store import Clock, Run

#: The operations of the store's files that another process could see the effect of.
DURABLE = ("write", "create", "publish", "move", "remove")
#: Those of Optuna's storage; each is a transaction of its own.
WRITES = (
    "create_new_trial",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_study_user_attr",
)
TIMES = ("started_at", "finished_at", "reported_at", "wall_s")


class Killed(BaseException):
    """The end of the machine."""


class Fate:
    """Counts durable operations, and ends the machine before one of them."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.count = 0
        self.dies_at = dies_at

    def step(self) -> None:
        if self.count == self.dies_at:
            self.dies_at = None
            raise Killed
        self.count += 1


class Mortal:
    """Passes everything on, operations of the given names after a look at fate."""

    def __init__(self, inner: Any, fate: Fate, names: tuple[str, ...]) -> None:
        self._inner, self._fate, self._names = inner, fate, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def step(*arguments: Any, **how: Any) -> Any:
            self._fate.step()
            return found(*arguments, **how)

        return step


class MortalStorage(optuna.storages.InMemoryStorage):
    """An Optuna storage that outlives its driver."""

    fate: Fate


def _mortal(name: str) -> Any:
    def write(self: MortalStorage, *arguments: Any, **how: Any) -> Any:
        self.fate.step()
        return getattr(super(MortalStorage, self), name)(*arguments, **how)

    return write


for _name in WRITES:
    setattr(MortalStorage, _name, _mortal(_name))


class Machine(Run):
    """A run whose every durable operation is a point of death."""

    def __enter__(self) -> Machine:
        fate = self.storage.fate
        opened = super().__enter__

        def mortal(store: Any) -> None:
            files = Mortal(store.files, fate, DURABLE)
            store.files = store.leases._files = store._stocktaker._files = files
            store.is_alive._files = files

        self.on_store = mortal
        opened()
        return self

    def die(self) -> None:
        """Leave nothing behind but what is durable; a dead process has no heart."""
        keeper = getattr(self, "keeper", None)
        if keeper is not None:
            keeper._member._presence._stop.set()


def run(study: Study, kills: list[int], **settings: Any) -> tuple[dict[str, Any], int, list[str]]:
    """Run a study to its end, killing the machine before each of the given operations."""
    storage = MortalStorage()
    storage.fate = Fate()
    url = f"memory://{uuid.uuid4().hex}/stages"
    trained: list[str] = []
    clock = Clock()
    remaining = sorted(kills)
    while True:
        storage.fate.dies_at = remaining.pop(0) if remaining else None
        machine = Machine(url, "run-1", study, clock, storage=storage, trained=trained, **settings)
        try:
            machine.__enter__()
            machine.drive()
            found = rows(machine.coordinator.records, machine.keeper.state())
            machine.__exit__()
        except Killed:
            machine.die()
            continue
        for table in found.values():
            for row in table:
                for name in TIMES:
                    row.pop(name, None)
        return found, storage.fate.count, trained


STUDY = (
    "search.num_trials=2", "search.confirm.top=0", "intermediate.tasks=[mnli,qqp]",
    "search.asha.num_rungs=2", "targets=[xnli]",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_before_any_durable_operation_it_ends_with_the_same_tables() -> None:
    study = make_study(*STUDY)
    expected, count, once = run(study, [])
    assert len(once) == len(set(once)) == len(expected["stages"])
    assert count > 150
    for operation in range(count):
        found, _, trained = run(study, [operation])
        assert repr(found) == repr(expected), f"killed before operation {operation}"
        assert len(trained) == len(set(trained)), f"killed before operation {operation}"
        assert {row["times_trained"] for row in found["stages"]} == {1}


def test_killed_again_and_again_it_ends_with_the_same_tables() -> None:
    study = make_study(*STUDY)
    expected, count, _ = run(study, [])
    found, _, trained = run(study, list(range(5, 3 * count, 23)))
    assert repr(found) == repr(expected)
    assert len(trained) == len(set(trained))


def test_killed_with_several_trials_at_once_nothing_is_lost_or_doubled() -> None:
    study = make_study(*STUDY, "search.num_trials=3")
    _, count, _ = run(study, [], slots=3)
    found, _, trained = run(study, list(range(3, 3 * count, 31)), slots=3)
    assert len(trained) == len(set(trained))
    assert {row["times_trained"] for row in found["stages"]} == {1}
    assert {row["state"] for row in found["trials"]} <= {"complete", "pruned"}
    keys = [(row["sequence"], row["target"], row["seed"]) for row in found["trials"]]
    assert len(keys) == len(set(keys))
