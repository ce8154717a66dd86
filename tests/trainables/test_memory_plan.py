"""What `taskorder check` says of precision, ZeRO stage and memory."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from transformers import AutoConfig

from search.launch import appraise
from search.pricing import render_price
from spaces.errors import InputError
from spaces.study import load_study
from trainables.memory import GIB, ModelShape
from trainables.memory_plan import Gpu, describe_training, model_shape, parse_gpus

A100 = Gpu("NVIDIA A100", 40 * GIB, has_bf16=True)
V100 = Gpu("NVIDIA V100", 16 * GIB, has_bf16=False)
ON_GPUS = ("resources={workers_per_trial: 4, gpus_per_worker: 1}", "deepspeed={zero_stage: auto}")


def study(model, *overrides):
    return load_study("mini", (f"model={{name: {model}}}", "training.precision=auto", *overrides))


def described(chosen, *gpus):
    return dict(describe_training(chosen, gpus))


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("FacebookAI/xlm-roberta-base", 278),
        ("xlm-roberta-large", 560),
        ("facebook/xlm-roberta-xl", 3480),
        ("facebook/xlm-roberta-xxl", 10700),
    ],
)
def test_published_models_are_known_without_a_hub(name, millions):
    shape = model_shape(study(name).model)
    assert shape is not None
    # As the papers give them, less the pooler and the head.
    assert shape.num_parameters / 1e6 == pytest.approx(millions, rel=0.01)


def test_other_models_are_read_where_they_are(tiny_model, tmp_path):
    config = AutoConfig.from_pretrained(tiny_model)
    assert model_shape(study(tiny_model).model) == ModelShape.of(config.to_dict())
    assert model_shape(study("some/other-model").model) is None
    assert "known once it is at hand" in described(study("some/other-model"))["memory"]
    scratch = load_study("mini", ("model={name: scratch, hidden_size: 96}",))
    assert model_shape(scratch.model).hidden_size == 96
    (tmp_path / "config.json").write_text('{"model_type": "odd"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"'odd' has no hidden_size.*deepspeed.zero_stage"):
        model_shape(study(tmp_path).model)
    # Another name for the same size.
    assert ModelShape.of({"dim": 64, "n_layers": 2, "hidden_dim": 128}).num_layers == 2


def test_on_a_cpu():
    rows = described(study("mini", "deepspeed={zero_stage: auto}"))
    assert rows["precision"] == "fp32: auto, and a CPU is slower with bf16"
    assert rows["ZeRO"].startswith("stage 0: auto, there is no GPU")
    assert "of the host's memory for each worker, beside the program's own" in rows["memory"]
    assert "with 32 of the longest" in rows["memory"]
    # Nothing of CUDA's, which was most of it.
    assert re.match(r"about \d+ MiB \(weights \d+, .*activations \d+\) of", rows["memory"])


def test_on_gpus_that_are_here():
    rows = described(study("FacebookAI/xlm-roberta-large", *ON_GPUS), A100)
    assert rows["precision"] == "bf16: auto, and the NVIDIA A100 has it"
    assert rows["ZeRO"].startswith("stage 1: auto, the lowest that fits 4 GPU(s) of 40 GiB")
    assert "fits the 40 GiB of the NVIDIA A100" in rows["memory"]
    assert "CUDA 1.0) on each GPU" in rows["memory"]
    # The smallest GPU counts.
    rows = described(study("facebook/xlm-roberta-xxl", *ON_GPUS), A100, V100)
    assert rows["precision"].startswith("fp32: auto, and the NVIDIA V100 does not")
    assert "no stage is sure to fit" in rows["ZeRO"]
    assert "does not fit the 16 GiB of the NVIDIA V100" in rows["memory"]


def test_trials_that_share_a_gpu_have_a_part_of_it():
    model, half = "FacebookAI/xlm-roberta-large", "resources={gpus_per_worker: 0.5}"
    rows = described(study(model, half, "training.precision=bf16"), V100)
    assert "does not fit the 8 GiB of the NVIDIA V100" in rows["memory"]


def test_on_gpus_elsewhere():
    rows = described(study("FacebookAI/xlm-roberta-large", *ON_GPUS))
    assert rows["precision"].startswith("bf16: auto, where the workers' GPUs have it")
    assert rows["ZeRO"] == "auto: the lowest that fits the workers' GPUs"
    gigabytes = [float(part.split(": ")[1]) for part in rows["memory"].split(", ")[2:]]
    assert "with 8 of the longest examples" in rows["memory"]
    assert gigabytes == sorted(gigabytes, reverse=True)


def test_what_the_study_says_is_said(tmp_path):
    chosen = study("mini", "training.precision=bf16")
    assert described(chosen)["precision"] == "bf16: as the study says"
    assert described(chosen)["ZeRO"].startswith("stage 1: stage 0 as the study says, and bf16")
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"zero_optimization": {"stage": 3}}), encoding="utf-8")
    assert described(study("mini", f"deepspeed={path}"))["ZeRO"] == f"stage 3: {path} says so"


def test_offload_that_a_json_asks_for_counts(tmp_path):
    path = tmp_path / "own.json"
    zero = {"stage": 2, "offload_optimizer": {"device": "cpu"}}
    path.write_text(json.dumps({"zero_optimization": zero}), encoding="utf-8")
    model = "FacebookAI/xlm-roberta-large"
    theirs = described(study(model, ON_GPUS[0], f"deepspeed={path}"))["memory"]
    ours = study(model, ON_GPUS[0], "deepspeed={zero_stage: 2, offload: optimizer}")
    assert theirs == described(ours)["memory"]
    assert "optimizer 0.0" in theirs


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("deepspeed={zero_stage: 2, offload: optimizer}",), "resources.gpus_per_worker is 0"),
        ((ON_GPUS[0], "deepspeed={offload: optimizer}"), "deepspeed.zero_stage is 0. Use 1, 2, 3"),
        (
            ("resources={workers_per_trial: 2, gpus_per_worker: 0.5}",),
            "gpus_per_worker is 0.5, .* whole GPU, or use resources.workers_per_trial: 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        described(study("mini", *overrides))


def test_the_largest_batch_counts():
    chosen = study("mini", "training.stage.batch_size=128", "training.target.batch_size=16")
    assert "with 128 of the longest" in described(chosen)["memory"]
    chosen = study("mini", "hyperparameters={target.batch_size: {choice: [16, 64]}}")
    assert "with 64 of the longest" in described(chosen)["memory"]
    chosen = study("mini", "training.micro_batch_size=4")
    assert "with 4 of the longest" in described(chosen)["memory"]


def test_check_prints_it_and_refuses_a_json_that_decides_too_much(tmp_path):
    chosen = study("mini")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_price(chosen, *appraise(chosen, None, None)))
    text = console.export_text()
    assert "precision   fp32" in text
    assert "ZeRO        stage 0" in text
    assert "memory      about" in text
    path = tmp_path / "own.json"
    path.write_text('{"optimizer": {"type": "Lamb"}, "fp16": {}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"sets optimizer, fp16, which the study file decides"):
        appraise(study("mini", f"deepspeed={path}"), None, None)


def test_the_drivers_list_is_read():
    listed = "Tesla V100-SXM2-16GB, 16384, 7.0\nNVIDIA H100, PCIe, 81559, 9.0\n"
    first, second = parse_gpus(listed)
    assert (first.name, first.memory_bytes, first.has_bf16) == (
        "Tesla V100-SXM2-16GB", 16 * GIB, False,
    )  # fmt: skip
    assert (second.name, second.has_bf16) == ("NVIDIA H100, PCIe", True)
    assert parse_gpus("") == ()
