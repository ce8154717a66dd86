from __future__ import annotations

import pytest

from search.gpu_cost import Work, describe_cost, gpu_hours, stored_gb, work_of
from spaces.planner import Planner, TaskData
from spaces.study import parse_study
from trainables.memory import ModelShape

STUDY = """
name: priced
model: {name: FacebookAI/xlm-roberta-large}
targets: [xnli, xquad]
arms: {one: [[], [mnli], [mnli, squad1]], two: [[qqp+squad1]]}
arm_seeds: 2
training: {batch_size: 10, stage: {max_steps: 100}, target: {max_steps: 30}}
resources: {gpus_per_worker: 1}
search: {num_trials: 0}
"""
LARGE = ModelShape(560_000_000, hidden_size=1024, num_layers=24, intermediate_size=4096)


def planner(text=STUDY, **sizes):
    study = parse_study(text, "study")
    names = ("mnli", "qqp", "squad1", "xnli", "xquad")
    data = {name: TaskData(sizes.get(name, 1000), "") for name in names}
    return study, Planner(study, study.catalogue(), data, base="")


def test_arms_by_hand():
    work = work_of(*planner())
    # Stages: mnli at length 128, then squad1 at 384; qqp and squad1 half and half, twice the steps.
    stages = 100 * 10 * 128 + 100 * 10 * 384 + 200 * 10 * (128 + 384) // 2
    # Four sequences, each fine-tuned on both targets.
    targets = 4 * 30 * 10 * (128 + 384)
    assert list(work.values()) == [Work(tokens=2 * (stages + targets), stages=2 * 3)]


def test_a_search_counts_at_its_most():
    text = STUDY.replace("num_trials: 0", "num_trials: 5, baselines: false, confirm: {top: 0}")
    text = text.replace("arms:", "intermediate: {tasks: [mnli, squad1], max_length: 2}\narms:")
    (work,) = work_of(*planner(text)).values()
    (arms,) = work_of(*planner()).values()
    longest = 100 * 10 * (128 + 384) + 30 * 10 * 384
    assert work == Work(arms.tokens + 5 * longest, arms.stages + 5 * 2)


def test_hours_follow_the_published_rate():
    # BERT-large on SQuAD: 110 sequences of 384 a second.
    an_hour = Work(tokens=110 * 384 * 3600, stages=3)
    assert gpu_hours(an_hour, LARGE) == pytest.approx(1.0, rel=0.01)
    assert stored_gb(an_hour, LARGE) == pytest.approx(3 * 2.24)


def test_what_is_said():
    study, known = planner()
    rows = dict(describe_cost(study, known, dict.fromkeys(work_of(study, known), LARGE)))
    assert "hours of one NVIDIA A100 at 77 TFLOP/s" in rows["GPU time"]
    assert rows["disk"] == "about 13 GB of checkpoints"


@pytest.mark.parametrize("unknown", ["data", "model", "GPU"])
def test_what_is_not_known_is_not_said(unknown):
    text = STUDY.replace("gpus_per_worker: 1", "gpus_per_worker: 0") if unknown == "GPU" else STUDY
    study, known = planner(text)
    sizes = {"large": None if unknown == "model" else LARGE}
    assert describe_cost(study, None if unknown == "data" else known, sizes) == ()
