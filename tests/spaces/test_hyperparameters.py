from __future__ import annotations

import pytest
from pydantic import ValidationError

from spaces.errors import InputError
from spaces.hyperparameters import Distribution, scoped, split_name


@pytest.mark.parametrize(
    ("content", "extremes"),
    [
        ({"uniform": [0, 1]}, (0.0, 1.0)),
        ({"log_uniform": [1e-5, 1e-3]}, (1e-5, 1e-3)),
        ({"int_uniform": [8, 16]}, (8, 16)),
        ({"choice": [16, 32, 64]}, (16, 32, 64)),
        ({"choice": ["1e-5", 3e-5]}, (1e-5, 3e-5)),  # YAML reads 1e-5 as text.
    ],
)
def test_each_kind_has_its_extremes(content, extremes):
    assert Distribution.model_validate(content).extremes() == extremes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "give exactly one of uniform, log_uniform, int_uniform, choice"),
        ({"uniform": [0, 1], "choice": [1]}, "not uniform and choice"),
        ({"uniform": [2, 1]}, "the low bound 2.0 is above the high bound 1.0"),
        ({"log_uniform": [0, 1]}, "log_uniform needs bounds above 0"),
        ({"int_uniform": [0.5, 1]}, "valid integer"),
        ({"choice": []}, "at least 1 item"),
        ({"choice": ["adamw"]}, "valid number"),
        ({"unform": [0, 1]}, "Extra inputs"),
    ],
)
def test_what_is_no_distribution_is_refused(content, message):
    with pytest.raises(ValidationError, match=message):
        Distribution.model_validate(content)


def test_a_name_has_a_scope_and_a_setting():
    assert split_name("target.learning_rate") == ("target", "learning_rate")
    assert split_name("stage.batch_size") == ("stage", "batch_size")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("learning_rate", "'learning_rate' has no scope. Write target.learning_rate"),
        ("trial.learning_rate", "Write target.learning_rate"),
        ("target.", "has no scope"),
        ("target.learning_rat", "cannot be tuned. Did you mean 'learning_rate'?"),
        ("stage.optimizer", "'optimizer' in 'stage.optimizer' cannot be tuned. Known: batch_size"),
    ],
)
def test_other_names_are_refused_with_a_remedy(name, message):
    with pytest.raises(InputError) as refused:
        split_name(name)
    assert message in str(refused.value)


def test_scopes_do_not_mix():
    values = {"target.dropout": 0.1, "stage.dropout": 0.2, "stage.batch_size": 8}
    assert scoped(values, "target") == {"dropout": 0.1}
    assert scoped(values, "stage") == {"dropout": 0.2, "batch_size": 8}
