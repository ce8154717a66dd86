from __future__ import annotations

import optuna
import pytest

from search.edits import check_edits
from search.ledger import Ledger
from spaces.errors import InputError
from spaces.study import Study
from tests.search.executor import Executor, make_coordinator, make_study


def check(before: Study, after: Study) -> None:
    check_edits(before.model_dump(mode="json"), after.model_dump(mode="json"), "runs/x/study.yaml")


@pytest.mark.parametrize(
    "edit",
    [
        "search.num_trials=11",
        "search.confirm.top=2",
        "search.confirm.seeds=3",
        "search.max_concurrent=3",
        "search.max_failures=9",
        "resources.workers_per_trial=2",
        "deepspeed.zero_stage=2",
        "storage.max_size_gb=3",
        "storage.checkpoint_every_steps=null",
        "training.micro_batch_size=2",
        "description=better",
    ],
)
def test_budgets_may_grow_and_the_way_of_working_may_change(edit: str) -> None:
    check(make_study(), make_study(edit))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ("search.num_trials=9", "search.num_trials: was 10, is 9; it may only grow"),
        ("search.confirm.seeds=1", "search.confirm.seeds: was 2, is 1; it may only grow"),
        ("model.name=scratch", "model.name: was mini, is scratch"),
        ("seed=1", "seed: was 0, is 1"),
        ("select_on=english_dev", "select_on: was target_dev, is english_dev"),
        ("training.max_steps=72", "training.max_steps: was 36, is 72"),
        ("search.asha.reduction_factor=2", "search.asha.reduction_factor: was 3, is 2"),
        ("search.sampler=tpe", "search.sampler: was random, is tpe"),
        ("intermediate.tasks=[mnli,qqp]", "intermediate.tasks: was ['mnli', 'qqp', 'squad1'], is"),
        ("targets=[xnli]", "targets: was [{"),
        ("hyperparameters.target.dropout=0.3", "dropout"),
    ],
)
def test_what_changes_the_meaning_is_refused_by_name(edit: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        check(make_study(), make_study(edit))
    assert told in str(refused.value)
    assert str(refused.value).startswith("runs/x/study.yaml: ")


def test_every_refused_key_is_named_at_once() -> None:
    with pytest.raises(InputError) as refused:
        check(make_study(), make_study("seed=1", "search.sampler=tpe", "search.num_trials=12"))
    assert "seed: was" in str(refused.value)
    assert "search.sampler: was" in str(refused.value)
    assert "search.num_trials: was" not in str(refused.value)


def test_the_ledger_keeps_the_study_as_it_was_launched() -> None:
    storage = optuna.storages.InMemoryStorage()
    first = make_study()
    assert Ledger(first, storage).launched() == first
    assert Ledger(make_study("search.num_trials=30"), storage).launched() == first


def test_a_finished_run_whose_budget_grows_goes_on() -> None:
    storage = optuna.storages.InMemoryStorage()
    short = make_coordinator(make_study("search.num_trials=4"), storage)
    assert Executor().drive(short)
    before = [(r.number, r.proposal.key, r.status) for r in short.records]
    grown = make_coordinator(make_study("search.num_trials=7"), storage)
    assert not grown.is_finished
    executor = Executor()
    executor.store = {s.fingerprint for r in short.records for s in r.stages}
    assert executor.drive(grown)
    assert sum(r.proposal.phase == "search" for r in grown.records) == 7
    assert [(r.number, r.proposal.key, r.status) for r in grown.records][: len(before)] == before
