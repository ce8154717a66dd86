"""Training in whatever memory there is, told while it goes on, on real engines."""

from __future__ import annotations

import gc
import math
import weakref

import pytest
import torch

from spaces.errors import InputError, TrainingError
from spaces.sequences import Sequence
from tests.trainables import tiny
from trainables import steps as stage_steps
from trainables import trainer as trainers
from trainables import watchdog
from trainables.devices import device_precision
from trainables.engine import Engine
from trainables.lost_workers import WorkerLostError, telling_of_lost_workers
from trainables.models import TaskModel
from trainables.preparation import prepare
from trainables.session import Session
from trainables.session_config import SessionConfig

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]
#: Micro-batches of other sizes sum in another order.
TOLERANCE = 2e-5


@pytest.fixture
def make(tiny_model, data_root, tmp_path):
    """Return a function that makes a session, a stage's plan and a trial's."""

    def made(store="store", **changes):
        study = tiny.study(tiny_model, **changes)
        preparation = prepare(study, data_root, tmp_path)
        config = SessionConfig(
            study,
            preparation.model_path,
            str(tmp_path / store),
            str(data_root),
            preparation.evaluation,
            cache_dir=str(tmp_path / "cache"),
        )
        plan = preparation.planner.plan(0, Sequence.of("xnli"), "panx", seed=0)
        return Session(config), plan

    return made


def weights(session, plan):
    store = session.store
    return store.load(store.get("stages", plan.stages[0].fingerprint))


def difference(left, right):
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@pytest.fixture
def small_memory(monkeypatch):
    """Let a forward pass of more than so many rows run out of memory, from a step on."""
    sizes = []

    def limit(rows, from_call=0):
        real = TaskModel.forward

        def forward(self, task, input_ids, attention_mask, *args, **kwargs):
            sizes.append(len(input_ids))
            if self.training and len(input_ids) > rows and len(sizes) > from_call:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore")
            return real(self, task, input_ids, attention_mask, *args, **kwargs)

        monkeypatch.setattr(TaskModel, "forward", forward)
        return sizes

    return limit


@pytest.mark.parametrize("zero_stage", [0, 2, 3])
@pytest.mark.parametrize("from_call", [0, 2])
def test_out_of_memory_goes_on_with_half_and_the_same_result(
    make, small_memory, zero_stage, from_call, caplog
):
    settings = {"deepspeed": {"zero_stage": zero_stage}, "training": {"dropout": 0}}
    session, plan = make("whole", **settings)
    session.train_stage(plan.stages[0], plan.base)
    expected = weights(session, plan)
    session, plan = make("halved", **settings)
    sizes = small_memory(3, from_call)
    told = []
    session.train_stage(plan.stages[0], plan.base, told.append)
    assert difference(weights(session, plan), expected) < TOLERANCE
    assert f"out of memory with micro-batches of 8 at step {from_call}" in caplog.text
    assert "goes on with 2" in caplog.text
    assert told[-1].step == 4
    # The next stage of the same tasks starts with what fits.
    del sizes[:]
    session, plan = make("later", **settings)
    session.train_stage(plan.stages[0], plan.base)
    assert max(sizes) == 2
    assert difference(weights(session, plan), expected) < TOLERANCE


def test_a_target_goes_on_as_well(make, small_memory):
    session, plan = make()
    session.train_stage(plan.stages[0], plan.base)
    small_memory(4)
    result = session.run_rung(plan, 0)
    assert result.steps_trained == 2
    assert math.isfinite(result.score)
    session.close_engine()


def test_no_room_for_one_example_is_told(make, small_memory):
    session, plan = make()
    small_memory(0)
    with pytest.raises(TrainingError, match=r"not even one example .*Tried to allocate 2 GiB"):
        session.train_stage(plan.stages[0], plan.base)


def test_an_update_that_failed_halfway_is_not_gone_on_from(make, monkeypatch, caplog):
    session, plan = make("whole", training={"dropout": 0})
    session.train_stage(plan.stages[0], plan.base)
    expected = weights(session, plan)
    session, plan = make("halved", training={"dropout": 0})
    real, calls = torch.optim.AdamW.step, []

    def step(self, *args, **kwargs):
        calls.append(1)
        result = real(self, *args, **kwargs)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    session.train_stage(plan.stages[0], plan.base)
    assert "at step 2, goes on with 4" in caplog.text
    assert len(calls) == 3 + 4  # from the start
    assert difference(weights(session, plan), expected) < TOLERANCE


def test_no_room_for_the_model_is_told_with_remedies(make, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nMore")

    session, plan = make()
    monkeypatch.setattr(trainers, "Engine", full)
    with pytest.raises(trainers.OutOfMemoryError, match=r"xnli: no room .*9 GiB.*offload"):
        session.train_stage(plan.stages[0], plan.base)


def test_an_engine_that_is_never_built_ends_its_worker(make, monkeypatch):
    alarms = []
    monkeypatch.setattr(watchdog, "_timeout_s", 7.0)
    monkeypatch.setattr(
        watchdog.faulthandler, "dump_traceback_later", lambda *a, **_: alarms.append(a)
    )
    monkeypatch.setattr(
        watchdog.faulthandler, "cancel_dump_traceback_later", lambda: alarms.append("over")
    )

    def build(*_, **__):
        assert alarms == [(7.0,)]
        raise InputError("seen")

    monkeypatch.setattr(trainers, "build_model", build)
    session, plan = make()
    with pytest.raises(InputError, match="seen"):
        session.train_stage(plan.stages[0], plan.base)
    assert alarms == [(7.0,), "over"]


def test_a_model_goes_with_its_engine_after_an_error_in_it(make, monkeypatch):
    session, plan = make()
    models, real = [], TaskModel.forward

    def forward(self, *args, **kwargs):
        models.append(weakref.ref(self))
        if len(models) == 3:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(TaskModel, "forward", forward)
    with pytest.raises(RuntimeError, match="illegal"):
        session.train_stage(plan.stages[0], plan.base)
    gc.collect()
    assert models[0]() is None


def test_beside_other_workers_the_trial_is_to_be_tried_again(make, small_memory):
    session, plan = make()
    small_memory(3)
    session._trainer._world_size = 2
    training = trainers.Training(
        "xnli", plan.stages[0].mixture, plan.stages[0].settings, plan.base, plan.base
    )
    session._trainer.build(training)
    with pytest.raises(trainers.OutOfMemoryError, match="worker 0 ran out of memory"):
        session._trainer.train(training, until=2)
    session.close_engine()


def test_progress_is_told_by_the_first_worker(make):
    session, plan = make()
    told = []
    session.train_stage(plan.stages[0], plan.base, told.append)
    assert [progress.what for progress in told] == ["xnli"] * len(told)
    assert told[0].step == 1
    assert (told[-1].step, told[-1].steps, told[-1].left_s) == (4, 4, 0)
    assert all(progress.tokens_per_s > 0 and progress.loss > 0 for progress in told)
    del told[:]
    session.run_rung(plan, 0, told.append)
    assert (told[-1].what, told[-1].step, told[-1].steps) == ("panx", 2, 2)
    session.close_engine()


def test_steps_made_ahead_are_the_same(make, monkeypatch):
    session, plan = make("one", training={"dropout": 0.2, "micro_batch_size": 4})
    session.train_stage(plan.stages[0], plan.base)
    expected = weights(session, plan)
    real = trainers.ahead
    monkeypatch.setattr(trainers, "ahead", lambda steps, depth: real(steps, depth + 2))
    session, plan = make("two", training={"dropout": 0.2, "micro_batch_size": 4})
    session.train_stage(plan.stages[0], plan.base)
    found = weights(session, plan)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_activation_checkpointing_changes_nothing(make, zero_stage):
    found = []
    for on in (False, True):
        session, plan = make(
            str(on),
            training={"activation_checkpointing": on, "dropout": 0.2},
            deepspeed={"zero_stage": zero_stage},
        )
        session.train_stage(plan.stages[0], plan.base)
        found.append(weights(session, plan))
    assert difference(*found) < TOLERANCE


def test_auto_is_fp32_without_zero_on_a_cpu(make, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_precision("auto") == "fp32"
    assert device_precision("bf16") == "bf16"
    session, plan = make(training={"precision": "auto"}, deepspeed={"zero_stage": "auto"})
    built = []
    real = Engine.__init__

    def spy(self, model, settings, section, **options):
        built.append((section.zero_stage, options["precision"]))
        real(self, model, settings, section, **options)

    monkeypatch.setattr(Engine, "__init__", spy)
    session.train_stage(plan.stages[0], plan.base)
    assert built == [(0, "fp32")]


# What traces a forward pass makes one of what other tests have left in torch.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("zero_stage", [0, 1])
def test_a_compiled_encoder_trains_the_same(make, monkeypatch, zero_stage):
    """As far as the kernels that it is compiled to: those take minutes to make."""
    compiled, real = [], torch.nn.Module.compile

    def compile_with_what_is_there(self, **options):
        compiled.append(options)
        real(self, backend="eager", **options)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_with_what_is_there)
    monkeypatch.setattr(trainers, "_can_compile", lambda _: True)
    found = []
    for on in (False, True):
        session, plan = make(
            str(on),
            training={"torch_compile": on, "dropout": 0},
            deepspeed={"zero_stage": zero_stage},
        )
        session.train_stage(plan.stages[0], plan.base)
        found.append(weights(session, plan))
        score = session.run_rung(plan, 0).score
        assert math.isfinite(score)
        session.close_engine()
    assert compiled == [{"dynamic": True}] * 2  # a stage and a target
    assert difference(*found) < TOLERANCE


def test_compiling_that_does_not_work_is_told_once(make, monkeypatch, caplog):
    def broken(_):
        raise RuntimeError("no C++ compiler")

    layouts, real = [], trainers.Layout
    trainers._can_compile.cache_clear()
    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(trainers, "Layout", lambda *given: layouts.append(given) or real(*given))
    session, plan = make(training={"torch_compile": True})
    session.train_stage(plan.stages[0], plan.base)
    assert layouts[0][-1]  # packed, as without the wish
    session.run_rung(plan, 0)
    session.close_engine()
    assert caplog.text.count("torch.compile does not work here") == 1
    trainers._can_compile.cache_clear()


def test_a_lost_worker_is_named():
    with (
        pytest.raises(WorkerLostError, match="worker 1 of 2 waited for the others in vain"),
        telling_of_lost_workers(1, 2),
    ):
        raise RuntimeError("[gloo/x.cc:81] Timed out waiting 2000ms for recv operation")
    with pytest.raises(RuntimeError, match="of another kind"), telling_of_lost_workers(1, 2):
        raise RuntimeError("an error of another kind")


def test_a_stage_goes_on_at_any_step_with_the_steps_it_would_have_had(make):
    session, plan = make()
    stage = plan.stages[0]
    layout = stage_steps.Layout(0, 1, torch.device("cpu"), 4, packed=True)

    def made(start):
        return list(
            stage_steps.stage_steps(
                session.inputs, stage.mixture, stage.settings, layout, start=start, until=4,
                counted=True,
            )
        )  # fmt: skip

    for whole, part in zip(made(0)[2:], made(2), strict=True):
        assert (whole.number, whole.num_tokens) == (part.number, part.num_tokens)
        assert whole.num_tokens == sum(int(b["attention_mask"].sum()) for b in whole.batches)
        for left, right in zip(whole.batches, part.batches, strict=True):
            assert torch.equal(left["input_ids"], right["input_ids"])
