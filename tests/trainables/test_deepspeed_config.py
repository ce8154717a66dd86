from __future__ import annotations

import json

import pytest

from spaces.errors import InputError
from spaces.study import DeepSpeedSection
from tests.trainables import tiny
from trainables.deepspeed_config import deepspeed_config, offloads_optimizer


def config(section, precision="fp32"):
    return deepspeed_config(
        section, tiny.settings(), precision=precision, micro_batch_size=2, accumulation_steps=4
    )


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "ds.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return str(path)

    return write


def test_the_study_decides():
    made = config(DeepSpeedSection(zero_stage=2, offload="optimizer"))
    offload = {"device": "cpu", "pin_memory": True}
    assert made["zero_optimization"] == {"stage": 2, "offload_optimizer": offload}
    assert made["train_micro_batch_size_per_gpu"] == 2
    assert made["gradient_accumulation_steps"] == 4
    assert made["gradient_clipping"] == 0.5
    assert made["bf16"] == {"enabled": False}
    assert offloads_optimizer(made)
    assert not offloads_optimizer(config(DeepSpeedSection()))


def test_a_json_keeps_what_the_study_has_no_setting_for(written):
    zero = {"stage": 3, "overlap_comm": True, "reduce_bucket_size": "auto", "offload_param": None}
    made = config(written({"zero_optimization": zero, "train_batch_size": "auto", "aio": {}}))
    assert made["zero_optimization"] == {"stage": 3, "overlap_comm": True, "offload_param": None}
    assert made["aio"] == {}
    assert config(written({"steps_per_print": 5}))["steps_per_print"] == 5
    assert "train_batch_size" not in made


def test_a_json_may_be_silent_about_zero(written):
    assert config(written({}))["zero_optimization"]["stage"] == 0
    assert config(written({"optimizer": {"type": "auto"}}))["zero_optimization"]["stage"] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"optimizer": {"type": "Adam"}, "fp16": {"enabled": True}}, "sets optimizer, fp16, which"),
        ({"train_batch_size": 8}, "sets train_batch_size, which the study file decides"),
        ({"zero_optimization": {"stage": 4}}, "ZeRO stage is 4. Use one of 0, 1, 2, 3"),
        ({"zero_optimization": [1]}, "not an object"),
        (
            {"activation_checkpointing": {"cpu_checkpointing": True}},
            "sets activation_checkpointing, which the study file decides",
        ),
        (
            {"gradient_allreduce_op": "sum", "zero_optimization": {"zero_quantized_weights": True}},
            "sets gradient_allreduce_op, zero_optimization.zero_quantized_weights, which would",
        ),
        ({"zero_optimisation": {"stage": 2}}, "unknown key 'zero_optimisation'.*zero_optimization"),
        ({"zero_force_ds_cpu_optimizer": True}, "zero_force_ds_cpu_optimizer to True, and"),
        ({"zero_optimization": {"stage": 2, "cpu_offload": True}}, "Write .*offload_optimizer"),
        ([1], "holds a list, not an object"),
        ("{", "cannot read"),
        (
            {"zero_optimization": {"stage": 0, "offload_optimizer": {"device": "cpu"}}},
            "offloaded from ZeRO stage 1 on",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(written, content, message):
    with pytest.raises(InputError, match=message):
        config(written(content))


def test_a_missing_json_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        config(str(tmp_path / "none.json"))


def test_bf16_without_zero_runs_as_stage_1():
    assert config(DeepSpeedSection(), "bf16")["zero_optimization"]["stage"] == 1
    assert config(DeepSpeedSection(zero_stage=3), "bf16")["zero_optimization"]["stage"] == 3
