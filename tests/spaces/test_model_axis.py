"""Several models in a study: what the file may say, and the study as each of them sees it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from spaces.arms import arm_models
from spaces.errors import InputError, UnknownNameError
from spaces.model_axis import model_labels, naming_model, study_of_model
from spaces.study import Study, parse_study

MODELS: dict[str, Any] = {
    "small": {"name": "mini"},
    "large": {
        "name": "scratch",
        "hidden_size": 64,
        "num_heads": 2,
        "training": {
            "micro_batch_size": 4,
            "activation_checkpointing": True,
            "precision": "bf16",
            "learning_rate": 1e-4,
            "target": {"epochs": 3},
        },
        "deepspeed": {"zero_stage": 3},
    },
}


def study(**content: Any) -> Study:
    base = {
        "name": "s",
        "models": MODELS,
        "intermediate": {"tasks": ["mnli", "qqp"], "max_length": 1},
        "targets": ["xnli"],
        "training": {
            "learning_rate": 2e-5,
            "stage": {"learning_rate": 3e-5},
            "target": {"max_steps": 7},
        },
    }
    chosen = {key: value for key, value in {**base, **content}.items() if value is not None}
    return parse_study(yaml.safe_dump(chosen, sort_keys=False), "s.yaml")


def test_labels_are_the_studys_own_and_the_first_model_is_the_one_that_is_searched_with():
    found = study()
    assert model_labels(found) == ("small", "large")
    assert found.model.name == "mini"


def test_a_single_model_is_called_by_its_name():
    found = study(models=None, model={"name": "mini"})
    assert model_labels(found) == ("mini",)
    assert study_of_model(found, "mini") is found


def test_a_model_sees_its_own_settings_over_the_studys():
    own = study_of_model(study(), "large")
    assert own.model.model_dump()["hidden_size"] == 64
    assert own.models == {}
    training = own.training
    assert (training.micro_batch_size, training.activation_checkpointing) == (4, True)
    assert training.precision == "bf16"
    assert training.learning_rate == 1e-4
    # What holds for one scope wins over what holds for both, wherever it is from.
    assert training.stage.learning_rate == 3e-5
    assert (training.target.max_steps, training.target.epochs) == (7, 3)
    assert own.deepspeed.zero_stage == 3


def test_a_model_without_settings_has_the_studys():
    found = study()
    own = study_of_model(found, "small")
    assert (own.training, own.deepspeed) == (found.training, found.deepspeed)


def test_a_study_of_several_models_is_read_back_from_what_is_written_of_it():
    found = study(arms={"a": {"sequences": [["mnli"]], "models": ["large"]}})
    content = found.model_dump(mode="json", exclude_none=True)
    assert parse_study(yaml.safe_dump(content, sort_keys=False), "again") == found
    assert study_of_model(parse_study(yaml.safe_dump(content, sort_keys=False), "x"), "large")


def test_an_arm_may_be_on_some_models_alone():
    found = study(arms={"a": [["mnli"]], "b": {"sequences": [["qqp"]], "models": ["large"]}})
    assert arm_models(found, "a") == ("small", "large")
    assert arm_models(found, "b") == ("large",)


def test_a_sequence_is_in_one_arm_of_each_model():
    arms = {
        "cheap": {"sequences": [["mnli"]], "models": ["small"]},
        "costly": {"sequences": [["mnli"]], "models": ["large"]},
    }
    assert len(study(arms=arms).arms) == 2
    with pytest.raises(InputError, match=r"arms\.costly: the sequence mnli is in arm 'cheap'"):
        study(arms={**arms, "cheap": [["mnli"]]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"name": "mini", "hidden_size": 8}}, "model and models are both given"),
        ({"models": {"a b": {"name": "mini"}}}, "models: the name 'a b' should begin with"),
        ({"models": {"a": {"nam": "mini"}}}, "models.a.nam: unknown key. Did you mean 'name'?"),
        (
            {"models": {"a": {"name": "mini", "training": {"micro_batch_size": 0}}}},
            "models.a.training.micro_batch_size: should be greater than or equal to 1",
        ),
        (
            {"models": {"a": {"name": "mini", "deepspeed": "nowhere.json"}}},
            "models.a.deepspeed: the file 'nowhere.json' does not exist",
        ),
        (
            {"arms": {"a": {"sequences": [[]], "models": ["larg"]}}},
            "arms.a.models: unknown model 'larg'. Did you mean 'large'?",
        ),
    ],
)
def test_what_is_wrong_with_models_is_said(content, message):
    with pytest.raises(InputError, match=message):
        study(**content)


def test_what_is_wrong_with_the_first_model_is_said_once():
    with pytest.raises(InputError) as told:
        study(models={"a": {"name": "mini", "hidden_size": 4}})
    assert "models.a.hidden_size: should be greater than or equal to 8" in str(told.value)
    assert "model.hidden_size" not in str(told.value)


def test_an_error_names_the_key_of_its_model():
    found = study()
    with (
        pytest.raises(InputError, match=r"^models\.large\.name: no such folder"),
        naming_model("large", study_of_model(found, "large")),
    ):
        raise InputError("model.name: no such folder")
    # What is of no model, and what is of a single one, stays as it is.
    single = study(models=None, model={"name": "mini"})
    for label, own, message in (
        ("large", study_of_model(found, "large"), "task 'a' is too long"),
        ("mini", single, "model.name: no such folder"),
    ):
        with pytest.raises(InputError) as told, naming_model(label, own):
            raise InputError(message)
        assert str(told.value) == message


def test_a_model_is_looked_up_by_its_label():
    with pytest.raises(UnknownNameError, match="unknown model 'mini'"):
        study_of_model(study(), "mini")
