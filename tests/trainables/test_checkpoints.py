"""Trainings that are killed on the way and go on from their last checkpoint."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from spaces.errors import TrainingError
from spaces.sequences import Sequence
from tests.trainables import tiny
from trainables.engine import Engine
from trainables.preparation import prepare
from trainables.progress import checkpoint_keys, drop_progress, latest_checkpoint
from trainables.session import Session
from trainables.session_config import SessionConfig
from trainables.storage.errors import EntryLostError

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]

STEPS = 7


class Killed(BaseException):
    """The end of a worker's process."""


@pytest.fixture
def make(tiny_model, data_root, tmp_path):
    """Return a function that makes a plan and a configuration with a store of its own."""

    def made(store, *, zero_stage=0, every=2):
        study = tiny.study(
            tiny_model,
            training={"dropout": 0.2, "max_steps": STEPS},
            deepspeed={"zero_stage": zero_stage},
            search={"asha": {"reduction_factor": 2, "num_rungs": 2}},
            storage={"checkpoint_every_steps": every},
        )
        preparation = prepare(study, data_root, tmp_path)
        config = SessionConfig(
            study, preparation.model_path, str(tmp_path / store), str(data_root),
            preparation.evaluation, "run-1",
        )  # fmt: skip
        return preparation.planner.plan(0, Sequence.of("squad1"), "panx", seed=0), config

    return made


@pytest.fixture
def kill(monkeypatch):
    """Return a function that lets the process die before a step, and the steps trained so far."""
    trained = []
    at = {"step": None, "error": Killed}
    real = Engine.train_step

    def step(self, batches):
        if self.step_count == at["step"]:
            at["step"] = None
            raise at["error"]
        trained.append(self.step_count)
        return real(self, batches)

    monkeypatch.setattr(Engine, "train_step", step)
    return lambda number, error=Killed: at.update(step=number, error=error), trained


def weights(config, fingerprint):
    session = Session(config)
    return session.store.load(session.store.get("stages", fingerprint))


@pytest.mark.parametrize("zero_stage", [0, 2, 3])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_killed_stage_goes_on_bit_for_bit(make, kill, zero_stage, step):
    plan, config = make("whole", zero_stage=zero_stage)
    _, cut = make("cut", zero_stage=zero_stage)
    die_at, trained = kill
    Session(config).train_stage(plan.stages[0], plan.base)
    assert trained == list(range(STEPS))
    trained.clear()
    die_at(step)
    with pytest.raises(Killed):
        Session(cut).train_stage(plan.stages[0], plan.base)
    report = Session(cut).train_stage(plan.stages[0], plan.base)
    again = step // 2 * 2
    assert trained == [*range(step), *range(again, STEPS)]
    expected = weights(config, report.fingerprint)
    found = weights(cut, report.fingerprint)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    # Done: the checkpoints on the way are gone.
    assert [e.kind for e in Session(cut).store.entries()] == ["stages"]


@pytest.mark.parametrize("step", [2, 3, 5, 6])
def test_a_killed_fine_tuning_comes_to_the_same_scores(make, kill, step):
    plan, config = make("whole")
    _, cut = make("cut")
    assert plan.budgets == (4, STEPS)
    die_at, trained = kill

    def run(config):
        session = Session(config)
        if session.store.get("stages", plan.parent) is None:
            session.train_stage(plan.stages[0], plan.base)
        trained.clear()
        rungs = []
        for rung in range(len(plan.budgets)):
            try:
                rungs.append(session.run_rung(plan, rung))
            except Killed:
                session = Session(config)
                rungs.append(session.run_rung(plan, rung))
        session.close_engine()
        return [dataclasses.replace(rung, wall_s=0.0) for rung in rungs]

    whole = run(config)
    Session(cut).train_stage(plan.stages[0], plan.base)
    die_at(step)
    assert run(cut) == whole
    assert len(trained) == STEPS + step % 2
    store = Session(cut).store
    drop_progress(store, plan, 2)
    assert [e.kind for e in store.entries()] == ["stages"]


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_serves(make, kill, tmp_path):
    plan, config = make("store")
    die_at, trained = kill
    die_at(5)
    stage = plan.stages[0]
    with pytest.raises(Killed):
        Session(config).train_stage(stage, plan.base)
    store = Session(config).store
    entry = latest_checkpoint(store, stage.fingerprint, STEPS)
    assert entry.metadata["steps"] == 4
    path = tmp_path / "store" / entry.data_name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    trained.clear()
    with pytest.raises(EntryLostError):
        Session(config).train_stage(stage, plan.base)
    Session(config).train_stage(stage, plan.base)
    assert trained == list(range(2, STEPS))


def test_a_short_or_unwanted_stage_has_no_checkpoints(make, kill):
    die_at, _ = kill
    for store, every in (("short", STEPS), ("unwanted", None)):
        plan, config = make(store, every=every)
        die_at(STEPS - 1)
        with pytest.raises(Killed):
            Session(config).train_stage(plan.stages[0], plan.base)
        assert Session(config).store.entries() == []


def test_one_of_the_two_checkpoints_is_whole_whenever_the_writer_dies(make, kill, monkeypatch):
    plan, config = make("store")
    stage = plan.stages[0]
    real = Session._put

    def dies(self, kind, key, tensors, notes):
        if kind == "progress" and notes["steps"] == 6:
            raise Killed  # what was in this place is dropped, the new one is not written
        return real(self, kind, key, tensors, notes)

    monkeypatch.setattr(Session, "_put", dies)
    with pytest.raises(Killed):
        Session(config).train_stage(stage, plan.base)
    store = Session(config).store
    assert [store.get("progress", key) is None for key in checkpoint_keys(stage.fingerprint)] == [
        False, True,
    ]  # fmt: skip
    assert latest_checkpoint(store, stage.fingerprint, STEPS).metadata["steps"] == 4


def test_a_stage_that_diverges_leaves_nothing_to_go_on_from(make, kill):
    plan, config = make("store")
    die_at, _ = kill
    die_at(5, TrainingError("the loss is NaN"))
    with pytest.raises(TrainingError):
        Session(config).train_stage(plan.stages[0], plan.base)
    assert Session(config).store.entries() == []
