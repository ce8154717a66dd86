from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
import pytest

from search.encoding import decode_sequence, search_space
from search.samplers import make_sampler
from search.samplers.similarity import read_similarity, similarity_features
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


def test_measures_are_standardised_and_averaged(table):
    found = read_similarity(make_study(f"search.similarity={table}"))
    assert found == pytest.approx(
        {("mnli", "xnli"): 1.0, ("qqp", "xnli"): -1.0, ("mnli", "udpos"): -1.0,
         ("qqp", "udpos"): 1.0}
    )  # fmt: skip
    assert read_similarity(make_study()) is None


def test_features_by_hand():
    similarity = {("a", "x"): 2.0, ("b", "x"): 1.0, ("a", "y"): -2.0}

    def features(text, entity):
        return similarity_features(text, entity, ("x", "y"), similarity).tolist()

    assert features("", "x") == [0, 0]
    assert features("a>b", "x") == [1.5, 1.0]
    assert features("b>a", "y") == [-1.0, -2.0]
    assert features("b>c", "x") == [0.5, 0.0]  # c is not in the table
    assert features("a>b", "") == [0.25, 0.5]


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
            read_similarity(make_study(f"search.similarity={path}"))

    refused("kind,source,value\n", r"has no column target, measure")
    refused("kind,source,target,measure,value\n", r"says nothing on the study's stages")
    with pytest.raises(InputError, match=r"nowhere\.parquet cannot be read"):
        read_similarity(make_study("search.similarity=nowhere.parquet"))
    with pytest.raises(InputError, match=r"similarity_greedy needs search\.similarity"):
        make_sampler(make_study("search.sampler=similarity_greedy"))


def test_the_surrogate_takes_similarities_in(table):
    study = make_study("search.sampler=sequence", f"search.similarity={table}")
    sampler = make_sampler(study)
    points = sampler._surrogate._points([("mnli", "xnli", 0), ("", "xnli", 0)])
    assert np.allclose(points.features[:, -2:], [[1.0, 1.0], [0.0, 0.0]])
