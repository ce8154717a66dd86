from __future__ import annotations

import ctypes
import gc
import json
import math

import pytest
import torch
from deepspeed.accelerator import get_accelerator
from torch.utils._python_dispatch import TorchDispatchMode

from spaces.errors import InputError, TrainingError
from spaces.study import DeepSpeedSection
from tests.trainables import tiny
from tests.trainables.loops import TOLERANCE, Stage
from trainables import engine as engines
from trainables import optimizers
from trainables.models import build_model

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]
FORMS = tuple(tiny.TASKS)
ZERO = [0, 1, 2, 3]


def largest_difference(left, right):
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zero_stage", ZERO)
@pytest.mark.parametrize("packed", [True, False])
def test_losses_are_those_of_a_plain_loop(tiny_model, form, zero_stage, packed):
    section = DeepSpeedSection(zero_stage=zero_stage)
    stage = Stage(tiny_model, (form,), section=section, packed=packed)
    plain = stage.plain_losses()
    assert stage.losses() == pytest.approx(plain, abs=TOLERANCE)
    assert plain[-1] < plain[0]


@pytest.mark.parametrize("zero_stage", ZERO)
def test_gradients_are_clipped_to_their_norm(tiny_model, zero_stage):
    form = "token_classification"
    section = DeepSpeedSection(zero_stage=zero_stage)
    # AdamW takes no notice of the gradients' scale until they are as small as its epsilon.
    clipped = Stage(tiny_model, (form,), tiny.settings(max_grad_norm=1e-7), section)
    losses = clipped.losses()
    assert losses == pytest.approx(clipped.plain_losses(), abs=TOLERANCE)
    free = Stage(tiny_model, (form,), tiny.settings(max_grad_norm=1e9), section).losses()
    assert max(abs(a - b) for a, b in zip(losses, free, strict=True)) > 100 * TOLERANCE


@pytest.mark.parametrize("form", FORMS)
def test_accumulation_changes_nothing(tiny_model, form):
    whole = Stage(tiny_model, (form,)).losses()
    for micro in (1, 3, 4):  # 3 does not divide the batch of 8: 2 is taken
        parts = Stage(tiny_model, (form,), micro_batch_size=micro).losses()
        assert parts == pytest.approx(whole, abs=TOLERANCE)


@pytest.mark.parametrize("zero_stage", ZERO)
def test_a_mixture_trains_every_head(tiny_model, zero_stage):
    stage = Stage(
        tiny_model, FORMS, tiny.settings(steps=8), DeepSpeedSection(zero_stage=zero_stage)
    )
    assert stage.losses() == pytest.approx(stage.plain_losses(), abs=TOLERANCE)
    # Parameters too large to stay whole under ZeRO 3 are gathered for the heads that rest, too.
    config = {"zero_optimization": {"stage": zero_stage, "stage3_param_persistence_threshold": 0}}
    path = tiny_model.parent / f"zero{zero_stage}.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    stage.section = str(path)
    assert stage.losses() == pytest.approx(stage.plain_losses(), abs=TOLERANCE)


@pytest.mark.parametrize("zero_stage", ZERO)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_continued_stage_is_the_uninterrupted_one(tiny_model, zero_stage, precision):
    stage = Stage(
        tiny_model,
        ("token_classification", "multiple_choice"),
        tiny.settings(dropout=0.2, steps=8),
        DeepSpeedSection(zero_stage=zero_stage),
        precision,
        micro_batch_size=4,
    )
    engine = stage.engine()
    first = stage.run(engine, 5)
    halfway = engine.state()
    rest = stage.run(engine, 8)
    end = engine.state()
    engine.destroy()
    engine = stage.engine(halfway)
    assert engine.step_count == 5
    assert largest_difference(engine.state(), halfway) == 0
    again = stage.run(engine, 8)
    assert again == rest
    assert largest_difference(engine.state(), end) == 0
    engine.destroy()
    assert all(math.isfinite(loss) for loss in first)


def test_a_state_goes_from_one_zero_stage_to_another(tiny_model):
    stage = Stage(tiny_model, ("token_classification",), tiny.settings(dropout=0.2))
    engine = stage.engine()
    stage.run(engine, 3)
    halfway = engine.state()
    rest = stage.run(engine, 6)
    engine.destroy()
    for zero_stage in (1, 2, 3):
        stage.section = DeepSpeedSection(zero_stage=zero_stage)
        engine = stage.engine(halfway)
        assert stage.run(engine, 6) == pytest.approx(rest, abs=TOLERANCE)
        engine.destroy()


@pytest.mark.parametrize("zero_stage", ZERO)
def test_encoder_weights_make_the_same_encoder(tiny_model, zero_stage):
    form = "sequence_classification"
    stage = Stage(tiny_model, (form,), section=DeepSpeedSection(zero_stage=zero_stage))
    engine = stage.engine()
    stage.run(engine, 2)
    weights = engine.encoder_weights()
    batch = {"input_ids": torch.tensor([[0, 9, 8, 2]]), "attention_mask": torch.ones(1, 4).long()}
    trained = engine.logits(task=form, **batch)
    head = {
        name.removeprefix("weight/"): value
        for name, value in engine.state().items()
        if name.startswith("weight/heads.")
    }
    engine.destroy()
    model = build_model(str(tiny_model), {form: (form, 7)}, dropout=0, seed=9, weights=weights)
    model.load_state_dict(head, strict=False)
    torch.testing.assert_close(model.eval()(task=form, **batch), trained, atol=1e-6, rtol=0)
    assert all(weight.dtype == torch.float32 for weight in weights.values())


@pytest.mark.parametrize("zero_stage", ZERO)
def test_an_evaluation_on_the_way_changes_nothing(tiny_model, zero_stage):
    form = "token_classification"
    # No parameter is small enough to stay whole under ZeRO 3.
    zero = {"stage": zero_stage, "stage3_param_persistence_threshold": 0}
    path = tiny_model.parent / f"evaluated{zero_stage}.json"
    path.write_text(json.dumps({"zero_optimization": zero}), encoding="utf-8")
    stage = Stage(tiny_model, (form,), tiny.settings(dropout=0.2), str(path))
    expected = stage.losses()
    batch = {"input_ids": torch.tensor([[0, 9, 8, 2]]), "attention_mask": torch.ones(1, 4).long()}
    engine = stage.engine()
    found = []
    for step in range(stage.settings.steps):
        with torch.inference_mode():
            assert not engine.logits(task=form, **batch).requires_grad
        found += stage.run(engine, step + 1)
    engine.destroy()
    assert found == expected


def test_dropout_is_reproducible_and_differs_between_steps(tiny_model):
    stage = Stage(tiny_model, ("sequence_classification",), tiny.settings(dropout=0.3))
    assert stage.losses() == stage.losses()
    assert stage.losses() != Stage(tiny_model, ("sequence_classification",)).losses()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_bf16_follows_fp32(tiny_model, precision):
    stage = Stage(tiny_model, ("token_classification",), precision=precision)
    assert stage.losses() == pytest.approx(stage.plain_losses(), rel=0.02)


def test_divergence_is_told_at_the_next_look(tiny_model, monkeypatch):
    monkeypatch.setattr(engines, "CHECK_EVERY", 4)
    stage = Stage(
        tiny_model,
        ("token_classification",),
        tiny.settings(learning_rate=1e30, schedule="constant", warmup_fraction=0.0),
    )
    engine = stage.engine()
    with pytest.raises(TrainingError, match=r"NaN or infinite at step 2 of 6 .*Lower the learning"):
        stage.run(engine, 6)
    assert engine.step_count == 4
    engine.destroy()


@pytest.mark.parametrize("zero_stage", ZERO)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradients_that_are_not_finite_are_told(tiny_model, monkeypatch, zero_stage, precision):
    monkeypatch.setattr(engines, "CHECK_EVERY", 4)
    section = DeepSpeedSection(zero_stage=zero_stage)
    stage = Stage(tiny_model, ("token_classification",), section=section, precision=precision)
    engine = stage.engine()
    stage.run(engine, 1)
    weight = engine.module.encoder.encoder.layer[0].output.dense.weight
    handle = weight.register_hook(lambda gradient: gradient * float("inf"))
    stage.run(engine, 2)
    handle.remove()
    with pytest.raises(TrainingError, match=r"NaN or infinite at step [23] of 6 "):
        stage.run(engine, 6)
    assert engine.step_count == 4
    engine.destroy()


class Reads(TorchDispatchMode):
    """Counts how often a number of a tensor is read, for which the host waits for a GPU."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


#: Under ZeRO 3 DeepSpeed clips, and looks at the norm first.
@pytest.mark.parametrize(("zero_stage", "most"), [(0, 0), (1, 0), (2, 0), (3, 1)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_does_not_wait_for_the_device(tiny_model, monkeypatch, zero_stage, most, precision):
    section = DeepSpeedSection(zero_stage=zero_stage)
    stage = Stage(
        tiny_model, ("sequence_classification",), section=section, precision=precision,
        micro_batch_size=4,
    )  # fmt: skip
    engine = stage.engine()
    stage.run(engine, 3)
    batches = list(stage.micro_batches(engine))
    waits = []
    monkeypatch.setattr(get_accelerator(), "synchronize", lambda *_: waits.append(1))
    with Reads() as reads:
        engine.train_step(iter(batches))
    assert (reads.count, waits) == (most, [])
    engine.destroy()


def test_weights_are_checked_even_if_every_loss_was_fine(tiny_model):
    stage = Stage(tiny_model, ("token_classification",))
    engine = stage.engine()
    stage.run(engine, 1)
    engine.check_finite()
    next(engine.module.parameters()).data[3, 3] = float("nan")
    with pytest.raises(TrainingError, match="step 1 of 6"):
        engine.check_finite()
    engine.destroy()


def test_a_batch_that_does_not_divide_is_refused(tiny_model):
    stage = Stage(tiny_model, ("token_classification",), world_size=3)
    with pytest.raises(InputError, match=r"batch_size: 8 does not divide over 3 workers"):
        stage.engine()


def test_what_deepspeed_refuses_is_told_with_the_file(tiny_model, tmp_path):
    path = tmp_path / "own.json"
    path.write_text('{"zero_optimization": {"stage": 1, "reduce_bucket": 5}}', encoding="utf-8")
    stage = Stage(tiny_model, ("token_classification",), section=str(path))
    with pytest.raises(InputError, match=r"DeepSpeed refuses .*own\.json[\s\S]*reduce_bucket"):
        stage.engine()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to offload from")
def test_offload_without_gpu_is_refused(tiny_model):
    section = DeepSpeedSection(zero_stage=2, offload="optimizer")
    stage = Stage(tiny_model, ("token_classification",), section=section)
    with pytest.raises(InputError, match=r"this worker has none\. Use offload: none"):
        stage.engine()


@pytest.fixture(scope="module")
def wide_model(tmp_path_factory):
    """A model whose weights, gradients and moments are 6.5 MiB, so that one that stays is seen."""
    return tiny.make_model(tmp_path_factory.mktemp("model") / "wide", hidden_size=128)


def num_objects():
    return gc.get_freeze_count() + len(gc.get_objects())


@pytest.mark.parametrize("zero_stage", [1, 2, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_offloaded_optimizer_trains_the_same(tiny_model, monkeypatch, zero_stage, precision):
    monkeypatch.setattr(optimizers, "_host_kernel", lambda: None)
    stage = Stage(
        tiny_model, ("token_classification",), tiny.settings(),
        DeepSpeedSection(zero_stage=zero_stage, offload="optimizer"), precision, micro_batch_size=4,
    )  # fmt: skip

    def made(state=None):
        # It is refused where there is no GPU to offload from; here the host is both.
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: True)
            engine = stage.engine()
        if state is not None:
            engine.load_state(state)
        return engine

    engine = made()
    losses = stage.run(engine, 3)
    halfway = engine.state()
    rest = stage.run(engine, 6)
    engine.check_finite()
    engine.destroy()
    tolerance = {"abs": TOLERANCE} if precision == "fp32" else {"rel": 0.02}
    assert losses + rest == pytest.approx(stage.plain_losses(), **tolerance)
    engine = made(halfway)
    assert largest_difference(engine.state(), halfway) == 0
    assert stage.run(engine, 6) == rest
    engine.destroy()


def resident_mib():
    # What was freed goes back first.
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096 / 2**20


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("zero_stage", ZERO)
def test_forty_engines_leave_nothing_behind(wide_model, zero_stage):
    section = DeepSpeedSection(zero_stage=zero_stage)
    stage = Stage(wide_model, ("token_classification",), tiny.settings(steps=2), section)
    for _ in range(8):
        stage.losses()
    objects, before = num_objects(), resident_mib()
    for _ in range(40):
        stage.losses()
    # Not one module, parameter or hook of any engine; and of memory that no object of Python's
    # holds, less than one engine in ten.
    assert num_objects() - objects < 40
    assert resident_mib() - before < 20
