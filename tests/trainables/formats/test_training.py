"""Text and retrieval under the engine: ZeRO 0 to 3, one worker and two."""

from __future__ import annotations

import pytest
import torch

from tests.trainables import tiny
from tests.trainables.formats import pair
from tests.trainables.loops import TOLERANCE, Stage
from trainables.models import load_encoder

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]
ZERO = [0, 1, 2, 3]


@pytest.fixture(scope="module")
def stages(tiny_model):
    return pair.stages(tiny_model)


@pytest.mark.parametrize("zero_stage", ZERO)
@pytest.mark.parametrize("form", pair.FORMS)
def test_losses_are_those_of_a_plain_loop(stages, form, zero_stage):
    stage = stages[f"{form}/{zero_stage}"]
    plain = pair.plain_losses(stage)
    assert stage.losses() == pytest.approx(plain, abs=TOLERANCE)
    assert plain[-1] < plain[0]


@pytest.mark.parametrize("zero_stage", ZERO)
def test_a_continued_stage_keeps_the_tie(stages, zero_stage):
    stage = stages[f"masked_lm/{zero_stage}"]
    engine = stage.engine()
    stage.run(engine, 3)
    halfway = engine.state()
    rest = stage.run(engine, 6)
    end = engine.encoder_weights()
    engine.destroy()
    assert not any("decoder" in name for name in halfway)
    engine = stage.engine(halfway)
    assert stage.run(engine, 6) == rest
    again = engine.encoder_weights()
    decoder = engine.module.heads["masked_lm"].model.get_output_embeddings()  # type: ignore[operator,union-attr]
    words = engine.module.encoder.get_input_embeddings()  # type: ignore[operator]
    assert decoder.weight is words.weight
    engine.destroy()
    assert all(torch.equal(end[name], again[name]) for name in end)


@pytest.mark.parametrize("zero_stage", [0, 3])
@pytest.mark.parametrize("form", pair.FORMS)
def test_bf16_follows_fp32(stages, tiny_model, form, zero_stage):
    section = stages[f"{form}/{zero_stage}"].section
    losses = Stage(tiny_model, (form,), section=section, precision="bf16").losses()
    assert losses == pytest.approx(Stage(tiny_model, (form,)).losses(), rel=0.05, abs=0.02)


@pytest.mark.parametrize("zero_stage", ZERO)
def test_retrieval_beside_other_tasks(tiny_model, stages, zero_stage):
    section = stages[f"retrieval/{zero_stage}"].section
    forms = ("retrieval", "token_classification", "masked_lm")
    stage = Stage(tiny_model, forms, section=section)
    assert stage.losses() == pytest.approx(stage.plain_losses(), abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_workers_train_as_one_plain_loop(tiny_model, tmp_path):
    together = pair.run(tiny_model, tmp_path / "results")
    names = load_encoder(str(tiny_model), dropout=0).state_dict().keys()
    for name, stage in pair.stages(tiny_model).items():
        stage.world_size = 2
        assert together[name]["losses"] == pytest.approx(pair.plain_losses(stage), abs=TOLERANCE)
        assert together[name]["weights"].keys() == names
