"""The table of a study file's keys says what the schema does."""

from __future__ import annotations

import yaml

from spaces.study import parse_study
from spaces.study_keys import study_keys

KEYS = {key.name: key for key in study_keys()}


def test_values_defaults_and_units_by_hand():
    assert (KEYS["name"].default, KEYS["seed"].default, KEYS["seed"].unit) == ("required", "0", "")
    steps = KEYS["storage.checkpoint_every_steps"]
    assert steps.values == "whole number, at least 1, or `null`"
    assert (steps.default, steps.unit) == ("1000", "steps")
    assert KEYS["intermediate.max_length"].unit == "stages"
    assert KEYS["training.max_length"].unit == "subwords"
    assert KEYS["search.asha"].values == "the keys below or `null`"
    assert KEYS["search.asha.reduction_factor"].default == "3"
    assert KEYS["training.warmup_fraction"].values == "number, at least 0, at most 1"
    assert KEYS["report.loggers"].default == "[tensorboard]"
    assert KEYS["models.<label>.deepspeed.zero_stage"].default == "0"
    assert "models.<label>.training" in KEYS
    assert KEYS["hyperparameters"].default == "{}"


def test_a_study_that_says_every_default_is_the_study_that_says_none():
    short = {
        "name": "s",
        "model": {"name": "mini"},
        "intermediate": {"tasks": ["mini_qa", "mini_entail", "mini_noise"]},
        "targets": ["mini_pos"],
    }
    full = yaml.safe_load(yaml.safe_dump(short))
    for key in KEYS.values():
        whole_section = key.default == "{}" and key.name != "hyperparameters"
        if key.default == "required" or whole_section or "<" in key.name or "[]" in key.name:
            continue
        section, (*path, last) = full, key.name.split(".")
        for part in path:
            section = section.setdefault(part, {})
        section[last] = yaml.safe_load(key.default)
    assert full["storage"]["checkpoint_every_steps"] == 1000
    assert full["search"]["asha"] == {
        "reduction_factor": 3, "num_rungs": 3, "rungs": [], "brackets": 1
    }  # fmt: skip
    assert parse_study(yaml.safe_dump(full), "full") == parse_study(yaml.safe_dump(short), "short")
