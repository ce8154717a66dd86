"""Runs on one real stage store: leases between them, eviction, and what the store loses."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pandas as pd
import pytest
import torch

from search.coordinator import MAX_LOSSES
from search.tables import write_tables
from spaces.study import Study
from tests.search.executor import make_study
from tests.search.shared_store import Clock, Run
from trainables.membership import RECHECK_S
from trainables.storage.weighing import PAUSE, PERIOD_S
from trainables.store import StageStore


def small(*overrides: str) -> Study:
    return make_study("search.num_trials=6", "search.confirm.top=0", *overrides)


def stages(run: Run, folder: Path) -> pd.DataFrame:
    write_tables(folder / run.name, run.coordinator.records, run.keeper.state())
    return pd.read_parquet(folder / run.name / "stages.parquet")


def test_two_runs_at_once_train_every_shared_stage_once(tmp_path: Path) -> None:
    clock = Clock()
    url = str(tmp_path / "stages")
    with (
        Run(url, "one", small(), clock, slots=2) as one,
        Run(url, "two", small("seed=0", "search.num_trials=9"), clock, slots=2) as two,
    ):
        while not (one.coordinator.is_finished and two.coordinator.is_finished):
            one.step()
            two.step()
        trained = one.trained + two.trained
        assert len(trained) == len(set(trained))
        assert one.trained
        assert two.trained
        found = [s for r in two.coordinator.records for s in r.stages if s.run == "one"]
        assert found
        assert all(stage.reused for stage in found)
        table = stages(two, tmp_path)
        assert table.set_index("fingerprint").loc[found[0].fingerprint, "times_trained"] in (0, 1)
        assert set(table["times_trained"]) == {0, 1}
        assert table["times_trained"].sum() == len(two.trained)
        assert "its trials wait for it" in one.told.getvalue() + two.told.getvalue()


def test_a_run_whose_trials_all_wait_for_another_neither_ends_nor_holds_a_slot(
    tmp_path: Path,
) -> None:
    clock = Clock()
    url = str(tmp_path / "stages")
    study = make_study(
        "search.baselines=false", "intermediate.max_length=1", "search.confirm.top=0",
        intermediate={"tasks": ["mnli"], "max_length": 1}, targets=["xnli"],
    )  # fmt: skip
    alone = small("search.baselines=true")
    with Run(url, "one", alone, clock) as one:
        while one.coordinator.records[2].status != "running":
            one.step()
            one.fill()
        held = one.coordinator.progress(2).next_stage
        assert held is not None
        with Run(url, "two", study, clock, slots=5) as two:
            two.fill()
            waiting = [r for r in two.coordinator.records if r.status == "waiting"]
            empty = [r for r in two.coordinator.records if not r.proposal.sequence]
            assert [str(r.proposal.sequence) for r in waiting] == ["mnli"]
            while two.running:
                two.step()
            assert all(r.is_final or r.status == "paused" for r in empty)
            assert two.coordinator.waits_for_others
            assert two.coordinator.num_running == 0
            assert not two.coordinator.is_finished
            assert two.coordinator.select() is None
            one.step()
            clock.now += RECHECK_S
            two.drive()
            assert two.trained == []
            assert {s.run for r in two.coordinator.records for s in r.stages} == {"one"}


def test_a_run_that_ends_gives_its_stage_to_the_other(tmp_path: Path) -> None:
    clock = Clock()
    url = str(tmp_path / "stages")
    with Run(url, "one", small(), clock) as one:
        while one.coordinator.records[2].status != "running":
            one.step()
            one.fill()
        held = one.coordinator.progress(2).next_stage
    with Run(url, "two", small(), clock) as two:
        two.drive()
        assert held in two.trained


def test_eviction_takes_nothing_that_is_needed_and_the_tables_tell(tmp_path: Path) -> None:
    clock = Clock()
    study = small("search.num_trials=12")
    with Run(str(tmp_path / "all"), "all", study, clock) as free:
        free.drive()
    with Run(str(tmp_path / "few"), "few", study, clock, max_size_gb=6e-6) as tight:
        tight.drive()
        assert len(tight.trained) > len(set(tight.trained))
        assert set(tight.trained) == set(free.trained)
        for mine, other in zip(tight.coordinator.records, free.coordinator.records, strict=True):
            assert (mine.status, mine.score, mine.rebuilt) == (other.status, other.score, [])
        table = stages(tight, tmp_path)
        assert table["times_trained"].sum() == len(tight.trained)
        assert table["evicted"].any()
        there = {entry.key for entry in tight.store.entries() if entry.kind == "stages"}
        assert set(table.loc[~table["evicted"], "fingerprint"]) == there
        assert tight.store.size_bytes() < free.store.size_bytes()


def test_what_the_store_has_lost_is_rebuilt_in_order_before_a_trial_goes_on(
    tmp_path: Path,
) -> None:
    clock = Clock()
    study = small()
    with Run(str(tmp_path / "stages"), "one", study, clock) as one:
        while not any(
            r.status == "running" and len(r.stages) == 2 for r in one.coordinator.records
        ):
            one.step()
        other = StageStore(one.url)
        for entry in other.entries():
            if entry.kind == "stages":
                other.drop("stages", entry.key)
        one.drive()
        rebuilt = [r for r in one.coordinator.records if r.rebuilt]
        assert rebuilt
        for record in rebuilt:
            order = [stage.fingerprint for stage in record.stages]
            again = [order.index(stage.fingerprint) for stage in record.rebuilt]
            assert again == sorted(again)
            assert again[-1] == len(order) - 1
        table = stages(one, tmp_path)
        assert table["times_trained"].sum() == len(one.trained)
        assert table["times_trained"].max() == 2
    with Run(one.url, "one", study, clock, storage=one.storage) as again:
        assert again.coordinator.is_finished
        assert [r.rebuilt for r in again.coordinator.records] == [
            r.rebuilt for r in one.coordinator.records
        ]


def test_a_damaged_stage_is_set_aside_told_and_trained_again(tmp_path: Path) -> None:
    clock = Clock()
    study = small("search.num_trials=12")
    with Run(str(tmp_path / "stages"), "one", study, clock) as one:
        while not any(r.status == "paused" and r.stages for r in one.coordinator.records):
            one.step()
        victim = next(
            r.stages[-1].fingerprint
            for r in one.coordinator.records
            if r.status == "paused" and r.stages
        )
        entry = one.store.get("stages", victim)
        assert entry is not None
        path = tmp_path / "stages" / entry.data_name
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        one.drive()
        table = stages(one, tmp_path).set_index("fingerprint")
        assert table.loc[victim, "times_set_aside"] == 1
        assert table.loc[victim, "times_trained"] == 2
        assert table["times_set_aside"].sum() == 1
        assert f"Damaged and set aside: stages {victim[:12]}" in one.told.getvalue()
        assert {r.status for r in one.coordinator.records} <= {"complete", "pruned"}
        kept = one.ledger.all_set_aside()
        assert len(kept) == 1
        assert Path(kept[0]["where"]).is_dir()


def test_a_store_that_loses_things_for_ever_fails_the_trial_and_not_the_run(
    tmp_path: Path,
) -> None:
    with Run(str(tmp_path / "stages"), "one", small(), Clock()) as one:
        one.fill()
        for _ in range(MAX_LOSSES):
            assert one.coordinator.on_lost(0, "it is gone") == "pause"
            one.running.clear()
            one.fill()
        assert one.coordinator.on_lost(0, "it is gone") == "stop"
        assert one.coordinator.progress(0).record.error == "it is gone"
        one.running.clear()
        one.drive()
        assert [r.number for r in one.coordinator.records if r.status == "failed"] == [0]


def test_nothing_is_protected_that_no_trial_needs_any_more(tmp_path: Path) -> None:
    with Run(str(tmp_path / "stages"), "one", small(), Clock(), max_size_gb=1e-9) as one:
        one.drive()
        one.clock.now += math.ceil(1e6)
        one.keeper.tidy()
        assert one.store.entries() == []


class Later:
    """Does a piece of work when it is told to."""

    def __init__(self) -> None:
        self.work: Callable[[], int] | None = None
        self.future: Future[int] = Future()

    def __call__(self, work: Callable[[], int]) -> Future[int]:
        assert self.work is None, "one piece of work at a time"
        self.work, self.future = work, Future()
        return self.future

    def do(self) -> None:
        assert self.work is not None
        work, self.work = self.work, None
        self.future.set_result(work())


def test_a_long_listing_holds_nothing_up_and_before_it_ends_nothing_goes(tmp_path: Path) -> None:
    """A store without an index, of another's stages, that is larger than it may be."""
    url = str(tmp_path / "stages")
    for number in range(20):
        StageStore(url).put("stages", f"{number:064}", {"x": torch.zeros(1000)}, {"wall_s": 0.1})
    listing = Later()
    with Run(url, "one", small(), Clock(), max_size_gb=8e-5, aside=listing) as one:
        while sum(r.is_final for r in one.coordinator.records) < 3:
            one.step()
        assert listing.work is not None
        assert one.clock.now > PERIOD_S
        assert one.store.evicted_keys() == set()
        size = one.store.size_bytes()
        assert size > 8e4
        listing.do()
        one.keeper.tidy()
        gone = one.store.evicted_keys()
        assert gone
        assert gone <= {f"{number:064}" for number in range(20)}
        assert one.store.size_bytes() <= 8e4
        # What was taken away is weighed again before more is.
        assert listing.work is None
        one.clock.now += PAUSE * one.clock.now
        one.keeper.tidy()
        assert listing.work is not None
        listing.do()
        while not one.coordinator.is_finished:
            one.step()
            if listing.work is not None:
                listing.do()
        assert set(one.trained) == {
            s.fingerprint for r in one.coordinator.records for s in r.stages
        }
        assert len(one.trained) == len(set(one.trained))


def test_protection_does_not_grow_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.keeper.MIN_WANTED", 20)
    sizes = []
    with Run(str(tmp_path / "stages"), "one", small("search.num_trials=12"), Clock()) as one:
        one.keeper._most_wanted = 20
        while not one.coordinator.is_finished:
            one.step()
            sizes.append(len(one.keeper._member._presence._pinned))
    # Seven keys a trial, of which few are under way at a time.
    assert 0 < max(sizes) < 7 * len(one.coordinator.records) // 2
