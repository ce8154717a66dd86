"""Evaluation in whatever memory there is."""

from __future__ import annotations

import pytest
import torch

from spaces.errors import TrainingError
from spaces.study import DeepSpeedSection, TrainingSection
from tests.trainables import many_workers, tiny
from trainables.engine import Engine
from trainables.evaluation_plan import EvaluationSet
from trainables.forward import outputs_of
from trainables.inputs import TaskInputs
from trainables.models import TaskModel, build_model

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]
SETS = (EvaluationSet("de", "dev"), EvaluationSet("fr", "dev"))


@pytest.fixture
def outputs(tiny_model, data_root):
    """Return a function that evaluates tagging in batches of 8 and gives numbers."""

    def made(zero_stage=0, world_size=1):
        inputs = TaskInputs(
            tiny.study(data_root).catalogue(), TrainingSection(), data_root, tiny.tokenizer()
        )
        task = inputs.catalogue["panx"]
        model = build_model(
            str(tiny_model), {"panx": (task.format, len(task.labels))}, dropout=0.0, seed=1
        )
        section = DeepSpeedSection(zero_stage=zero_stage)
        engine = Engine(model, tiny.settings(), section, precision="fp32", world_size=1)
        try:
            found = outputs_of(
                engine, inputs, "panx", SETS, batch_size=8, rank=0, world_size=world_size
            )
        finally:
            engine.destroy()
        assert found is not None
        return [many_workers.flat(o) for s in SETS for o in many_workers.plain(found[s])]

    return made


@pytest.fixture
def little_room(monkeypatch):
    """Let a forward pass of more than so many tokens ask for memory that no host has."""
    passes = []

    def limit(tokens):
        real = TaskModel.forward

        def forward(self, task, input_ids, attention_mask, *args, **kwargs):
            passes.append(len(input_ids))
            if input_ids.numel() > tokens:
                torch.empty(2**60)
            return real(self, task, input_ids, attention_mask, *args, **kwargs)

        monkeypatch.setattr(TaskModel, "forward", forward)
        return passes

    return limit


@pytest.mark.parametrize("zero_stage", [0, 3])
def test_a_batch_without_room_is_evaluated_in_parts(outputs, little_room, zero_stage, caplog):
    expected = outputs()
    passes = little_room(60)
    for theirs, ours in zip(outputs(zero_stage), expected, strict=True):
        assert theirs == pytest.approx(ours, abs=1e-5)
    # 18 sentences, the shortest first; what did not fit is not tried again with longer ones.
    assert passes[0] == 8
    assert sum(passes) > 18
    halved = passes.index(4)
    assert max(passes[halved:]) == 4
    assert "out of memory evaluating 8 examples in a forward pass, goes on with 4" in caplog.text
    assert "training.eval_batch_size: 4 would have avoided it" in caplog.text


def test_no_room_for_one_example_is_told(outputs, little_room):
    little_room(1)
    with pytest.raises(TrainingError, match=r"no room to evaluate 1 example.*eval_batch_size"):
        outputs()


def test_what_all_workers_run_together_is_not_parted(outputs, little_room):
    little_room(1)
    with pytest.raises(TrainingError, match=r"no room to evaluate 8 example"):
        outputs(zero_stage=3, world_size=2)
