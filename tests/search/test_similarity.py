from __future__ import annotations

import math

import numpy as np
import optuna
import pandas as pd
import pytest

from search.encoding import decode_sequence, search_space
from search.samplers import make_sampler
from search.samplers.similarity import similarity_features
from search.similarity_prior import AVERAGE, read_prior
from spaces.errors import InputError
from tests.search.executor import make_study

ROWS = [
    ("source_target", "mnli", "xnli", "one", 3.0),
    ("source_target", "qqp", "xnli", "one", 1.0),
    ("source_target", "mnli", "udpos", "one", 1.0),
    ("source_target", "qqp", "udpos", "one", 3.0),
    ("source_target", "mnli", "xnli", "two", 0.9),
    ("source_target", "qqp", "xnli", "two", 0.1),
    ("source_target", "mnli", "xnli", "flat", 5.0),
    ("source_target", "qqp", "xnli", "flat", 5.0),
    ("source_source", "mnli", "qqp", "one", 9.0),
    ("source_target", "mnli", "panx", "one", 99.0),
]


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    frame = pd.DataFrame(ROWS, columns=["kind", "source", "target", "measure", "value"])
    path = tmp_path / f"similarity.{request.param}"
    frame.to_parquet(path) if request.param == "parquet" else frame.to_csv(path, index=False)
    return path


def test_measures_are_standardised_by_target_and_averaged(table):
    found = read_prior(make_study(f"search.similarity={table}"))
    # Nothing is known of squad1: it stands in the middle.
    side = math.sqrt(3 / 2)
    assert found == pytest.approx(
        {("mnli", "xnli"): side, ("qqp", "xnli"): -side, ("squad1", "xnli"): 0.0,
         ("mnli", "udpos"): -side, ("qqp", "udpos"): side, ("squad1", "udpos"): 0.0,
         ("mnli", AVERAGE): 0.0, ("qqp", AVERAGE): 0.0, ("squad1", AVERAGE): 0.0}
    )  # fmt: skip
    assert read_prior(make_study()) is None


def test_features_by_hand():
    prior = {("a", "x"): 2.0, ("b", "x"): 1.0, ("a", "y"): -2.0, ("b", "y"): 0.0, ("a", ""): 0.5}

    def features(text, entity):
        return similarity_features(text, entity, prior).tolist()

    assert features("", "x") == [0, 0]
    assert features("a>b", "x") == [3.0, 1.0]
    assert features("b>a", "y") == [-2.0, -2.0]
    assert features("a", "") == [0.5, 0.5]


def test_one_stage_has_nobody_to_be_compared_with(table):
    study = make_study(
        f"search.similarity={table}", intermediate={"tasks": ["mnli"], "max_length": 1}
    )
    assert set(read_prior(study).values()) == {0.0}


def test_the_most_similar_come_first(table):
    study = make_study("search.sampler=similarity_greedy", f"search.similarity={table}")
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    found = {"xnli": [], "udpos": []}
    for _ in range(study.space.size * 2):
        trial = asked.ask(fixed_distributions=search_space(study))
        sequence, target = str(decode_sequence(trial.params)), trial.params["target"]
        found[target].append(sequence)
        for name, value in {"seed": 0, "target": target, "sequence": sequence}.items():
            trial.set_user_attr(name, value)
    assert all(len(set(asked_for)) == study.space.size for asked_for in found.values())
    assert found["xnli"][:4] == ["", "mnli", "squad1>mnli", "qqp>mnli"]
    assert found["udpos"][:4] == ["", "qqp", "squad1>qqp", "mnli>qqp"]


def test_what_is_wrong_with_a_table_is_told(tmp_path):
    def refused(text, message):
        path = tmp_path / "table.csv"
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_prior(make_study(f"search.similarity={path}"))

    refused("kind,source,value\n", r"has no column target, measure")
    refused("kind,source,target,measure,value\n", r"says nothing on the study's stages")
    with pytest.raises(InputError, match=r"nowhere\.parquet cannot be read"):
        read_prior(make_study("search.similarity=nowhere.parquet"))
    with pytest.raises(InputError, match=r"similarity_greedy needs search\.similarity"):
        make_sampler(make_study("search.sampler=similarity_greedy"))


def test_the_surrogate_takes_similarities_in(table):
    study = make_study("search.sampler=sequence", f"search.similarity={table}")
    sampler = make_sampler(study)
    points = sampler._surrogate._points([("mnli", "xnli", 0), ("", "xnli", 0)])
    assert np.allclose(points.features[:, -2:], [[math.sqrt(1.5)] * 2, [0.0, 0.0]])


def test_the_more_similar_stages_come_first(table):
    study = make_study("search.sampler=sequence", f"search.similarity={table}", targets=["xnli"])
    asked = optuna.create_study(direction="maximize", sampler=make_sampler(study))
    found = []
    for score in (10.0, 30.0, 20.0):
        trial = asked.ask(fixed_distributions=search_space(study))
        found.append(str(decode_sequence(trial.params)))
        for name, value in {"seed": 0, "target": "xnli", "sequence": found[-1]}.items():
            trial.set_user_attr(name, value)
        trial.report(score, 0)
    # Of three stages two come first; qqp is the least similar to xnli.
    assert found == ["", "mnli", "squad1"]
