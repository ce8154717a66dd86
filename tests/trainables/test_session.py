from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
import torch

from spaces.errors import DataError, StoreError, TrainingError
from spaces.planner import Planner
from spaces.sequences import Sequence, Stage
from tests.trainables import tiny
from trainables import session as sessions
from trainables import trainer as trainers
from trainables.preparation import prepare
from trainables.progress import drop_progress, progress_key
from trainables.session import Session
from trainables.session_config import SessionConfig

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]


@pytest.fixture
def make(tiny_model, data_root, tmp_path):
    """Return a function that makes a planner and a session's configuration."""

    def made(**changes) -> tuple[Planner, SessionConfig]:
        study = tiny.study(tiny_model, **changes)
        preparation = prepare(study, data_root, tmp_path)
        store = str(tmp_path / "store")
        config = SessionConfig(
            study, preparation.model_path, store, str(data_root), preparation.evaluation, "run-1"
        )
        return preparation.planner, config

    return made


def trial(planner, sequence=(), target="panx", seed=0):
    return planner.plan(0, Sequence.of(*sequence), target, seed=seed)


def run_trial(config, plan):
    session = Session(config)
    stages = [session.train_stage(stage, plan.base) for stage in plan.stages]
    rungs = [session.run_rung(plan, rung) for rung in range(len(plan.budgets))]
    session.close_engine()
    return stages, rungs


def essence(rung):
    return (rung.rung, rung.budget_steps, rung.score, rung.scores, rung.error)


def test_a_trial_from_stages_to_scores(make):
    planner, config = make()
    plan = trial(planner, ["squad1", "xnli"])
    stages, rungs = run_trial(config, plan)
    assert [stage.sequence for stage in stages] == ["squad1", "squad1>xnli"]
    assert [stage.parent for stage in stages] == [plan.base, stages[0].fingerprint]
    assert [rung.budget_steps for rung in rungs] == [2, 3, 4]
    assert [rung.steps_trained for rung in rungs] == [2, 1, 1]
    scored = {(s.language, s.split) for s in rungs[0].scores}
    assert scored == {("de", "dev"), ("fr", "dev")}
    assert {(s.language, s.split, s.selected_on) for s in rungs[-1].scores} == {
        ("de", "dev", True),
        ("fr", "dev", True),
        ("en", "dev", False),
    }
    store = Session(config).store
    entry = store.get("stages", stages[0].fingerprint)
    assert entry.metadata["run"] == "run-1"
    assert entry.size_bytes == stages[0].size_bytes
    weights = store.load(entry)
    assert not any("head" in name for name in weights)
    assert all(name.startswith(("embeddings.", "encoder.")) for name in weights)


@pytest.mark.parametrize("zero_stage", [0, 2, 3])
def test_a_trial_interrupted_between_rungs_is_the_uninterrupted_one(make, zero_stage):
    planner, config = make(
        training={"dropout": 0.2, "micro_batch_size": 4}, deepspeed={"zero_stage": zero_stage}
    )
    plan = trial(planner, ["squad1"])
    _, whole = run_trial(config, plan)
    parts = []
    for rung in range(len(plan.budgets)):
        session = Session(config)
        parts.append(session.run_rung(plan, rung))
        session.close_engine()
    assert [essence(rung) for rung in parts] == [essence(rung) for rung in whole]
    assert [rung.steps_trained for rung in parts] == [2, 1, 1]


def test_a_lost_progress_entry_is_trained_again(make):
    planner, config = make()
    plan = trial(planner)
    _, whole = run_trial(config, plan)
    session = Session(config)
    drop_progress(session.store, plan)
    last = session.run_rung(plan, 2)
    assert essence(last) == essence(whole[2])
    assert last.steps_trained == 4


def test_the_engine_is_kept_between_rungs_of_one_trial_alone(make, monkeypatch):
    planner, config = make()
    built = []
    real = trainers.build_model
    monkeypatch.setattr(trainers, "build_model", lambda *a, **k: built.append(1) or real(*a, **k))
    plan, other = trial(planner), trial(planner, seed=1)
    session = Session(config)
    session.run_rung(plan, 0)
    session.run_rung(plan, 1)
    assert len(built) == 1
    session.run_rung(other, 0)
    session.run_rung(plan, 2)
    assert len(built) == 3
    session.run_rung(other, 1)
    assert len(built) == 4
    session.close_engine()


def test_a_failure_in_the_middle_of_a_rung_leaves_no_half_trained_engine(make, monkeypatch):
    planner, config = make()
    plan = trial(planner)
    _, whole = run_trial(config, plan)
    session = Session(config)
    session.run_rung(plan, 0)

    def lost(*_, **__):
        raise OSError("node lost")

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "evaluate", lost)
        with pytest.raises(OSError, match="node lost"):
            session.run_rung(plan, 1)
    assert essence(session.run_rung(plan, 1)) == essence(whole[1])
    session.close_engine()


def test_a_mixture_stage_trains(make):
    planner, config = make()
    plan = planner.plan(0, Sequence((Stage(("squad1", "xnli")),)), "panx", seed=0)
    (stage,), _ = run_trial(config, plan)
    assert stage.steps == 8
    assert stage.sequence == str(Sequence((Stage(("squad1", "xnli")),)))


def test_retrieval_is_evaluated_without_training(make):
    planner, config = make()
    plan = trial(planner, target="tatoeba")
    assert plan.budgets == (0,)
    _, (rung,) = run_trial(config, plan)
    assert rung.steps_trained == 0
    assert {(s.language, s.num_examples, s.selected_on) for s in rung.scores} == {
        ("de", 13, True),
        ("fr", 13, True),
    }
    assert 0 <= rung.score <= 100


def test_a_diverged_target_scores_nan_and_says_why(make):
    planner, config = make(training={"target": {"learning_rate": 1e30, "warmup_fraction": 0}})
    plan = trial(planner)
    session = Session(config)
    rung = session.run_rung(plan, 0)
    assert math.isnan(rung.score)
    assert rung.scores == ()
    assert "NaN or infinite at step 2" in rung.error
    assert session.store.get("progress", progress_key(plan, 2)) is None


def test_a_diverged_stage_fails(make):
    planner, config = make(training={"stage": {"learning_rate": 1e30, "warmup_fraction": 0}})
    plan = trial(planner, ["xnli"])
    session = Session(config)
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        session.train_stage(plan.stages[0], plan.base)
    assert session.store.get("stages", plan.stages[0].fingerprint) is None


def test_a_missing_parent_is_told(make):
    planner, config = make()
    with pytest.raises(StoreError, match=r"is not in the store .* trained again"):
        Session(config).run_rung(trial(planner, ["xnli"]), 0)


def test_progress_is_dropped_and_nothing_else(make):
    planner, config = make()
    plan = trial(planner, ["xnli"])
    run_trial(config, plan)
    store = Session(config).store
    kept = [store.get("progress", progress_key(plan, budget)) is not None for budget in (2, 3, 4)]
    assert kept == [True, True, False]
    drop_progress(store, plan)
    drop_progress(store, plan)
    assert store.get("progress", progress_key(plan, 2)) is None
    assert store.get("stages", plan.stages[0].fingerprint) is not None


def test_a_training_set_without_labels_is_refused(make, tmp_path):
    planner, config = make()
    root = tiny.write_data(tmp_path / "data")
    # As XTREME blanks the answers of its test sets.
    train = root / "squad/train-v1.1.json"
    blanked = re.sub(r'\[\{"text": .*?\}\]', '[{"text": "", "answer_start": 0}]', train.read_text())
    train.write_text(blanked)
    session = Session(replace(config, data_root=str(root)))
    plan = trial(planner, ["squad1"])
    with pytest.raises(DataError, match="none of the 40 examples of its training set"):
        session.train_stage(plan.stages[0], plan.base)


def test_the_configuration_survives_json(make):
    for asha in (None, {"rungs": [2, 4]}):
        rates = {"target.learning_rate": {"log_uniform": [1e-5, 1e-3]}, "stage.dropout": 0.1}
        _, config = make(search={"asha": asha}, hyperparameters=rates)
        config = replace(config, cache_dir="cache")
        again = SessionConfig.from_json(json.loads(json.dumps(config.to_json())))
        assert again == config
        assert (again.study.search.asha is None) == (asha is None)


def test_stages_do_not_depend_on_what_trained_before(make):
    planner, config = make(training={"dropout": 0.2})
    plan = trial(planner, ["xnli"])
    session = Session(config)
    session.train_stage(plan.stages[0], plan.base)
    first = session.store.load(session.store.get("stages", plan.stages[0].fingerprint))
    session.run_rung(trial(planner, seed=4), 0)
    torch.manual_seed(99)
    session.train_stage(plan.stages[0], plan.base)
    again = session.store.load(session.store.get("stages", plan.stages[0].fingerprint))
    assert all(torch.equal(first[name], again[name]) for name in first)
