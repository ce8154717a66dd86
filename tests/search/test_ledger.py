from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from search.encoding import decode_sequence, encode_by_keys, encode_by_positions, search_space
from search.ledger import Ledger
from search.samplers import make_sampler
from spaces.sequences import Sequence
from tests.search.executor import (
    Executor,
    make_coordinator,
    make_study,
    outcome,
    smooth_scores,
    virtual_clock,
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


@pytest.fixture
def opened(url: str) -> Iterator[optuna.Study]:
    """The plain Optuna study, as any other tool would open it once the run is over."""
    study = make_study()
    storage = optuna.storages.RDBStorage(url)
    make_coordinator(study, storage)
    yield optuna.load_study(study_name=study.name, storage=storage)
    storage.remove_session()
    storage.engine.dispose()


def test_everything_survives_reopening(url):
    study = make_study("hyperparameters.target.dropout={uniform: [0, 0.3]}")

    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        if sequence == "qqp" and target == "udpos":
            raise ArithmeticError("the loss is NaN")
        if sequence == "mnli" and target == "udpos":
            return math.nan
        return smooth_scores(sequence, target, seed, rung)

    first = make_coordinator(study, url)
    assert Executor(scores).drive(first)
    again = make_coordinator(study, url)
    assert outcome(again) == outcome(first)
    for one, other in zip(first.records, again.records, strict=True):
        assert repr(one) == repr(other)
    assert again.is_finished


def test_the_storage_opens_as_a_plain_study(url):
    study = make_study()
    coordinator = make_coordinator(study, url)
    assert Executor().drive(coordinator)
    trials = optuna.load_study(study_name=study.name, storage=url).trials
    by_number = {trial.number: trial for trial in trials}
    states = {
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }
    for record in coordinator.records:
        trial = by_number[record.number]
        assert trial.state == states[record.status]
        assert trial.intermediate_values == {r.rung: r.score for r in record.rungs}
        assert trial.user_attrs["sequence"] == str(record.proposal.sequence)
        assert trial.value == record.score
        if record.proposal.sequence in study.space:
            assert decode_sequence(trial.params) == record.proposal.sequence
    assert {TrialState.COMPLETE, TrialState.PRUNED} == {trial.state for trial in trials}
    best = optuna.load_study(study_name=study.name, storage=url).best_trial
    assert best.value == max(r.score for r in coordinator.records if r.status == "complete")


def test_a_trial_that_was_asked_and_not_noted_is_taken_up(url):
    study = make_study("search.baselines=false")
    ledger = Ledger(study, url, make_sampler(study), clock=virtual_clock())
    suggestion = ledger.suggest()
    # The driver is killed here. Another asks for nothing else before it has taken this up.
    coordinator = make_coordinator(study, url)
    (record,) = coordinator.records
    assert record.number == suggestion.number
    assert record.proposal.sequence == decode_sequence(suggestion.parameters)
    assert record.proposal.target == suggestion.parameters["target"]


def test_a_trial_that_was_asked_in_part_is_asked_to_the_end(url):
    study = make_study("hyperparameters.target.dropout={uniform: [0, 0.3]}")
    whole = Ledger(study, optuna.storages.InMemoryStorage(), make_sampler(study)).suggest()
    ledger = Ledger(study, url, make_sampler(study))
    trial = ledger.optuna.ask()
    distribution = search_space(study)["target"]
    trial.suggest_categorical("target", distribution.choices)
    again = Ledger(study, url, make_sampler(study))
    assert again.rebuild().unnoted == [0]
    assert again.suggest_again(0).parameters == whole.parameters


def test_reading_changes_nothing(url):
    study = make_study()
    ledger = Ledger(study, url, make_sampler(study))
    ledger.suggest()
    before = [trial.state for trial in ledger.optuna.trials]
    assert Ledger(study, url).load() == []
    assert [trial.state for trial in ledger.optuna.trials] == before == [TrialState.RUNNING]


def test_a_new_storage_has_the_baselines_waiting(opened):
    assert {trial.state for trial in opened.trials} == {TrialState.RUNNING}
    assert [trial.user_attrs["phase"] for trial in opened.trials] == ["baseline"] * 10


@pytest.mark.parametrize("text", ["", "a", "b>a", "c>a>b"])
def test_a_sequence_comes_back_from_its_parameters(text):
    sequence = Sequence.parse(text)
    parameters = encode_by_positions(sequence, 3)
    assert list(parameters) == ["stage_1", "stage_2", "stage_3"]
    assert decode_sequence(parameters) == sequence


def test_positions_are_numbers_not_text():
    names = [f"task{i}" for i in range(11)]
    parameters = dict(reversed(encode_by_positions(Sequence.of(*names), 11).items()))
    assert decode_sequence(parameters).names == tuple(names)


@given(st.permutations(["a", "b", "c", "d"]), st.integers(0, 4))
def test_keys_hold_any_sequence(order, length):
    sequence = Sequence.of(*order[:length])
    parameters = encode_by_keys(sequence, ("a", "b", "c", "d"))
    assert all(0 <= key <= 1 for key in parameters.values())
    assert decode_sequence(parameters) == sequence
    assert decode_sequence(parameters, 2) == Sequence.of(*order[: min(length, 2)])


def test_the_encoding_of_a_study():
    study = make_study(
        hyperparameters={
            "target.learning_rate": {"log_uniform": [1e-5, 1e-3]},
            "stage.batch_size": {"int_uniform": [8, 16]},
            "stage.dropout": {"choice": [0.0, 0.1]},
            "target.weight_decay": {"uniform": [0.0, 0.1]},
            "target.dropout": 0.2,
        }
    )
    space = search_space(study)
    assert list(space) == [
        "target", "stage_1", "stage_2",
        "target.learning_rate", "stage.batch_size", "stage.dropout", "target.weight_decay",
    ]  # fmt: skip
    assert space["stage_1"].choices == ("-", "mnli", "qqp", "squad1")
    assert space["target.learning_rate"].log
    assert "target" not in search_space(make_study(objective="average"))
