from __future__ import annotations

import gc
import weakref

import pytest
import torch

from spaces.study import DeepSpeedSection
from tests.trainables import tiny
from tests.trainables.loops import Stage
from trainables.models import TaskModel

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
@pytest.mark.parametrize("fails", [False, True])
def test_a_model_goes_with_its_engine(tiny_model, zero_stage, fails):
    section = DeepSpeedSection(zero_stage=zero_stage)
    stage = Stage(tiny_model, ("token_classification",), tiny.settings(steps=4), section)
    engine = stage.engine()
    stage.run(engine, 3)
    if fails:
        head = engine.module.heads["token_classification"]

        def run_out(*_):
            raise torch.OutOfMemoryError("CUDA out of memory.")

        handle = head.register_forward_hook(run_out)
        with pytest.raises(torch.OutOfMemoryError):
            stage.run(engine, 4)
        handle.remove()
        del head
    model = weakref.ref(engine.module)
    assert isinstance(model(), TaskModel)
    engine.destroy()
    gc.collect()
    assert model() is None
