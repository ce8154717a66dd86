from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spaces.plan import TrainSettings, TrialPlan
from spaces.planner import Planner, TaskData
from spaces.sequences import Sequence
from spaces.study import parse_study

TASKS = ("mnli", "qqp", "squad1")
TARGETS = ("xnli", "udpos", "tatoeba")


def planner(*overrides: str, base: str = "base", sizes: int = 100, **content: Any) -> Planner:
    study = parse_study(
        yaml.safe_dump(
            {
                "name": "s",
                "model": {"name": "mini"},
                "intermediate": {"tasks": list(TASKS), "max_length": 3},
                "targets": list(TARGETS),
                "training": {"max_steps": 36, "batch_size": 10},
                **content,
            }
        ),
        "s.yaml",
        overrides,
    )
    catalogue = study.catalogue()
    names = (*TASKS, *TARGETS)
    data = {name: TaskData(sizes, f"data of {name}") for name in names}
    return Planner(study, {name: catalogue[name] for name in names}, data, base)


def plan(using: Planner | None = None, text: str = "mnli>qqp", target: str = "xnli", **values: Any):
    seed = values.pop("seed", 0)
    hyperparameters = {name.replace("__", "."): value for name, value in values.items()}
    return (using or planner()).plan(
        1, Sequence.parse(text), target, seed=seed, hyperparameters=hyperparameters
    )


def fingerprints(found: TrialPlan) -> list[str]:
    return [stage.fingerprint for stage in found.stages]


def test_each_stage_is_chained_to_the_one_before():
    found = plan(text="mnli>qqp>squad1")
    assert [stage.sequence for stage in found.stages] == ["mnli", "mnli>qqp", "mnli>qqp>squad1"]
    parents = [stage.parent for stage in found.stages]
    assert parents == ["base", *fingerprints(found)[:-1]]
    assert found.parent == fingerprints(found)[-1]
    assert plan(text="").parent == "base"


def test_a_prefix_is_the_same_stage_in_every_sequence_and_for_every_target():
    long, short = plan(text="mnli>qqp>squad1"), plan(text="mnli>qqp", target="udpos")
    assert fingerprints(long)[:2] == fingerprints(short)
    assert fingerprints(plan(text="qqp>mnli"))[1] not in fingerprints(long)
    # The same planner asked again, in another order, says the same.
    shared = planner()
    assert plan(shared, "mnli>qqp") == plan(shared, "mnli>qqp") == plan(text="mnli>qqp")


TARGET_VALUES = {
    "target__learning_rate": 1e-4,
    "target__batch_size": 20,
    "target__dropout": 0.3,
    "target__weight_decay": 0.2,
    "target__warmup_fraction": 0.5,
    "target__max_grad_norm": 2.0,
}


@pytest.mark.parametrize("name", TARGET_VALUES)
def test_target_hyperparameters_leave_the_prefix_untouched(name):
    changed = plan(**{name: TARGET_VALUES[name]})
    assert changed.stages == plan().stages
    assert changed.target_fingerprint != plan().target_fingerprint


@pytest.mark.parametrize("name", TARGET_VALUES)
def test_stage_hyperparameters_are_part_of_every_stage(name):
    changed = plan(**{name.replace("target", "stage"): TARGET_VALUES[name]})
    assert not set(fingerprints(changed)) & set(fingerprints(plan()))
    assert changed.target_settings == plan().target_settings
    assert changed.target_fingerprint != plan().target_fingerprint


def test_whatever_changes_the_weights_changes_the_identity():
    reference = plan()
    data = planner()
    data.data["mnli"] = TaskData(100, "other records")
    versioned = planner()
    versioned.tasks["mnli"] = versioned.tasks["mnli"].model_copy(update={"version": 99})
    others = [
        plan(seed=1),
        plan(planner(base="another model")),
        plan(planner("training.precision=bf16")),
        plan(planner("training.max_steps=37")),
        plan(planner("training.batch_size=11")),
        plan(planner("training.stage.learning_rate=0.5")),
        plan(data),
        plan(versioned),
    ]
    found = [reference, *others]
    assert len({first for first, _ in map(fingerprints, found)}) == len(found)


def test_what_changes_no_weights_changes_no_identity():
    for override in (
        "training.eval_batch_size=7",
        "search.num_trials=3",
        "select_on=english_dev",
        "description=x",
        "training.target.learning_rate=0.5",
        "search.asha=null",
    ):
        assert fingerprints(plan(planner(override))) == fingerprints(plan()), override


def test_a_fixed_hyperparameter_is_a_default_that_a_sampled_one_replaces():
    fixed = planner("hyperparameters.target.dropout=0.25")
    assert plan(fixed).target_settings.dropout == 0.25
    assert plan(fixed, target__dropout=0.5).target_settings.dropout == 0.5


def test_settings_come_from_scope_then_training_then_task():
    using = planner(
        training={
            "batch_size": 10,
            "epochs": 2,
            "stage": {"max_steps": 7, "learning_rate": 0.5},
            "target": {"schedule": "constant", "batch_size": 25},
        }
    )
    found = plan(using)
    assert [stage.settings.steps for stage in found.stages] == [7, 7]
    assert {stage.settings.learning_rate for stage in found.stages} == {0.5}
    assert {stage.settings.schedule for stage in found.stages} == {"linear"}
    assert found.target_settings.schedule == "constant"
    assert found.target_settings.steps == 100 * 2 / 25
    assert found.target_settings.learning_rate == using.tasks["xnli"].learning_rate


def test_without_steps_the_published_epochs_hold():
    using = planner(training={"batch_size": 32}, sizes=1000)
    found = plan(using)
    epochs = using.tasks["mnli"].epochs
    assert found.stages[0].settings.steps == -(-1000 * epochs // 32)


def test_all_tasks_at_once_cost_what_they_cost_apart():
    (mixture,) = plan(text="mnli+qqp+squad1").stages
    assert mixture.settings.steps == 3 * 36
    assert mixture.mixture.tasks == ("mnli", "qqp", "squad1")
    apart = planner(training={"epochs": 1, "batch_size": 10})
    assert plan(apart, "mnli+qqp+squad1").stages[0].settings.steps == 30


@pytest.mark.parametrize(
    ("override", "budgets"),
    [
        ("search.asha={reduction_factor: 3, num_rungs: 3}", (4, 12, 36)),
        ("search.asha={reduction_factor: 2, num_rungs: 2}", (18, 36)),
        ("search.asha={reduction_factor: 3, num_rungs: 9}", (1, 2, 4, 12, 36)),
        ("search.asha.rungs=[5, 10]", (5, 10, 36)),
        ("search.asha.rungs=[5, 36, 50]", (5, 36)),
        ("search.asha.num_rungs=1", (36,)),
        ("search.asha=null", (36,)),
    ],
)
def test_budgets_rise_to_the_full_one(override, budgets):
    assert plan(planner(override)).budgets == budgets


def test_a_target_without_training_has_one_budget_of_nothing():
    assert plan(target="tatoeba").budgets == (0,)


@given(st.integers(1, 10_000), st.integers(2, 5), st.integers(1, 6))
def test_budgets_are_distinct_rising_and_end_at_the_full_one(steps, eta, num_rungs):
    asha = {"reduction_factor": eta, "num_rungs": num_rungs}
    budgets = planner(search={"asha": asha}).budgets(steps)
    assert list(budgets) == sorted(set(budgets))
    assert budgets[-1] == steps
    assert budgets[0] >= 1
    assert len(budgets) <= num_rungs


SETTINGS = TrainSettings(
    steps=10, batch_size=1, learning_rate=1.0, warmup_fraction=0.2, schedule="linear",
    weight_decay=0.0, max_grad_norm=1.0, dropout=0.0, seed=0,
)  # fmt: skip


def test_the_learning_rate_rises_then_falls_by_hand():
    rates = [SETTINGS.learning_rate_at(step) for step in range(11)]
    assert rates == [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0.0]


def test_a_constant_learning_rate_only_warms_up():
    constant = replace(SETTINGS, schedule="constant")
    assert [constant.learning_rate_at(step) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]
    cold = replace(SETTINGS, warmup_fraction=0.0)
    assert cold.learning_rate_at(0) == 1.0
    assert replace(SETTINGS, steps=1).learning_rate_at(0) == 1.0


def test_a_plan_crosses_processes_as_json():
    for text, target in (("mnli>qqp", "xnli"), ("", "tatoeba"), ("mnli+qqp", "udpos")):
        found = plan(text=text, target=target)
        assert TrialPlan.from_json(json.loads(json.dumps(found.to_json()))) == found


_SCRIPT = """
from tests.spaces.test_plan import fingerprints, plan
found = plan(text="mnli+qqp>squad1", stage__dropout=0.2, target__batch_size=7)
print(*fingerprints(found), found.target_fingerprint)
"""


def test_identities_are_the_same_in_every_process():
    printed = set()
    for hash_seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        printed.add(done.stdout)
    assert len(printed) == 1
