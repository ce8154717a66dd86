from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.observations import stages_of
from analysis.order_effects import (
    ADJACENCY,
    POSITIONS,
    PRECEDENCE,
    RECENCY,
    adjacency_effects,
    position_effects,
    precedence_effects,
    recency_effects,
)
from spaces.errors import UnknownNameError
from tests.analysis.landscapes import coverage, draw, sequences

ALL = (precedence_effects, position_effects, recency_effects, adjacency_effects)


def exact(means, num_seeds=1):
    return draw(np.random.default_rng(0), means, num_seeds, sd_noise=0.0)


def row_of(frame, **values):
    for name, value in values.items():
        frame = frame[frame[name] == value]
    (found,) = frame.to_dict("records")
    return found


def test_precedence_by_hand():
    # b before a is 2 better alone and 4 better around c.
    means = {"a>b": 10, "b>a": 12, "a>c>b": 20, "b>c>a": 24, "a>b>c": 0}
    found = row_of(precedence_effects(exact(means)), first="a", second="b")
    assert found["effect"] == pytest.approx(-3)
    assert found["num_contexts"] == 2
    # Two pairs 1 from their mean: t of 1 degree of freedom, standard error 1.
    assert found["effect_low"] == pytest.approx(-3 - 12.7062, abs=1e-3)


def test_a_stage_whose_score_falls_with_its_position():
    means = {name: -5.0 * stages_of(name).index("a") if "a" in name else 0.0
             for name in sequences("abcd", 3)}  # fmt: skip
    found = position_effects(exact(means, 2))
    of_a = found[(found["stage"] == "a") & (found["num_stages"] == 3)]
    assert of_a["effect"].tolist() == pytest.approx([5, 0, -5])
    # Other stages change places with it: their own effect is half of that, the other way.
    of_b = found[(found["stage"] == "b") & (found["num_stages"] == 3)]
    assert of_b["effect"].iloc[0] < 0
    assert (found.groupby(["stage", "num_stages"])["effect"].sum().abs() < 1e-9).all()


def test_what_is_trained_last_counts():
    means = {name: 7.0 * name.endswith("b") for name in sequences("abc", 3)}
    found = recency_effects(exact(means)).set_index("stage")["effect"]
    assert found["b"] == pytest.approx(7)
    # Of length 2: b>a and c>a against a>b and a>c. Of length 3 likewise, a first or in the middle.
    assert found["a"] == pytest.approx(found["c"])
    assert found["a"] < 0


def test_neighbours():
    means = {name: 3.0 * ("a>b" in name) for name in sequences("abcd", 4)}
    found = adjacency_effects(exact(means))
    assert row_of(found, first="a", second="b")["effect"] == pytest.approx(3)
    # a>c: where c stands further down, b is between them or before both.
    assert abs(row_of(found, first="c", second="d")["effect"]) < 3


def test_only_what_was_seen_both_ways_is_compared():
    found = precedence_effects(exact({"a>b": 1, "b>a": 2, "a>c": 3, "c>d>a": 4}))
    assert found[["first", "second"]].to_numpy().tolist() == [["a", "b"]]
    assert math.isnan(found["effect_low"].iloc[0])
    assert math.isnan(found["p_holm"].iloc[0])


def test_a_mixture_is_a_stage_of_its_own():
    found = precedence_effects(exact({"a+b>c": 1, "c>a+b": 2}))
    assert found[["first", "second"]].to_numpy().tolist() == [["a+b", "c"]]


@pytest.mark.parametrize(
    ("function", "columns"),
    list(zip(ALL, (PRECEDENCE, POSITIONS, RECENCY, ADJACENCY), strict=True)),
)
def test_nothing_to_compare_gives_a_typed_empty_frame(function, columns):
    found = function(exact({"": 50, "a": 51}))
    assert list(found.columns) == [column.name for column in columns]
    assert found["effect"].dtype == "float64"
    assert found.empty
    with pytest.raises(UnknownNameError):
        function(exact({"": 50}), "tagz")


def test_targets_and_runs_are_told_apart():
    one, two = exact({"a>b": 1, "b>a": 2}), exact({"a>b": 5, "b>a": 2})
    both = pd.concat([one.assign(run="x"), two.assign(run="y"), one.assign(run="y", target="z")])
    found = precedence_effects(both)
    assert found[["run", "target", "effect"]].to_numpy().tolist() == [
        ["x", "tags", -1], ["y", "tags", 3], ["y", "z", -1],
    ]  # fmt: skip


def test_settings_are_matched_like_seeds():
    rows = [("a>b", 1.0, 10.0), ("b>a", 1.0, 12.0), ("a>b", 2.0, 70.0), ("c", 1.0, 0.0)]
    frame = pd.DataFrame(rows, columns=["sequence", "hp.x", "score"]).assign(target="tags", seed=0)
    from analysis.observations import observations  # noqa: PLC0415

    assert precedence_effects(frame)["effect"].iloc[0] == pytest.approx(58)
    matched = precedence_effects(observations(frame, settings="all"))
    assert matched["effect"].iloc[0] == pytest.approx(-2)


@pytest.mark.slow
def test_intervals_and_p_values_hold_what_they_say():
    rng = np.random.default_rng(5)
    # Every pair of a and b, or of c and d, with none, one or both of the others.
    names = [n for n in sequences("abcd", 4) if set("ab") <= set(n) or set("cd") <= set(n)]
    helps = {name: set("ab") <= set(name) and name.index("a") < name.index("b") for name in names}
    intervals, p_values = [], []
    for _ in range(300):
        # Every sequence has a quirk of its own: contexts differ.
        means = {name: 50 + 2.0 * helps[name] + rng.normal(0, 1) for name in names}
        scores = draw(rng, means, 2)
        found = precedence_effects(scores[rng.random(len(scores)) < 0.9], confidence=0.9)
        row = row_of(found, first="a", second="b")
        intervals.append((row["effect_low"], row["effect_high"]))
        p_values.append(row_of(found, first="c", second="d")["p"])
    assert 0.85 <= coverage(intervals, 2.0) <= 0.95
    assert 0.05 <= np.mean(np.array(p_values) < 0.1) <= 0.15
