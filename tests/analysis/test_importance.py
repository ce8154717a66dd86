from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.forgetting import appended_effects, forgetting_curve
from analysis.importance import task_importance
from analysis.observations import stages_of
from spaces.errors import InputError
from tests.analysis.landscapes import coverage, draw, sequences

WORTH = {"a": 5.0, "b": 2.0, "c": -1.0, "d": 0.0}
TOGETHER = {frozenset("ab"): 3.0, frozenset("cd"): -2.0}


def value(name, order=0.0):
    """A game of tasks and pairs, with a quirk for an order."""
    tasks = set(stages_of(name))
    pairs = sum(points for pair, points in TOGETHER.items() if pair <= tasks)
    return 50 + sum(WORTH[task] for task in tasks) + pairs + order * name.startswith("a>")


def shapley(tasks, worth):
    """Shapley values from the definition: all permutations."""
    totals = dict.fromkeys(tasks, 0.0)
    permutations = list(itertools.permutations(tasks))
    for permutation in permutations:
        for i, task in enumerate(permutation):
            before = worth(frozenset(permutation[:i]))
            totals[task] += worth(frozenset(permutation[: i + 1])) - before
    return {task: total / len(permutations) for task, total in totals.items()}


def by_task(found, column="importance"):
    return dict(zip(found["task"], found[column], strict=True))


def test_exact_values_are_shapleys():
    rng = np.random.default_rng(0)
    means = {name: rng.normal(50, 5) for name in sequences("abcd", 4)}
    scores = draw(rng, means, 1, sd_noise=0.0)
    found = task_importance(scores)
    assert set(found["method"]) == {"exact"}
    sets = {}
    for name, score in zip(scores["sequence"], scores["score"], strict=True):
        sets.setdefault(frozenset(stages_of(name)), []).append(score)
    expected = shapley("abcd", lambda members: np.mean(sets[frozenset(members)]))
    assert by_task(found) == pytest.approx(expected)
    everything = np.mean(sets[frozenset("abcd")]) - sets[frozenset()][0]
    assert found["importance"].sum() == pytest.approx(everything)
    assert found["importance_low"].isna().all()


def test_a_fit_of_pairs_agrees_with_the_exact_values_of_a_game_of_pairs():
    for size in (2, 3, 4):
        scores = draw(
            np.random.default_rng(0), {n: value(n) for n in sequences("abcd", size)}, 2, sd_noise=0
        )
        exact = by_task(task_importance(scores))
        fitted = task_importance(scores, method="pairwise")
        assert set(fitted["method"]) == {"pairwise"}
        assert by_task(fitted) == pytest.approx(exact)
    assert exact["a"] == pytest.approx(5 + 3 / 2)
    assert exact["d"] == pytest.approx(-2 / 2)


def test_the_longest_set_that_counts_can_be_given():
    scores = draw(np.random.default_rng(0), {n: value(n) for n in sequences("abcd", 3)}, 2)
    singles = task_importance(scores, max_size=1)
    means = scores.groupby("sequence")["score"].mean()
    assert by_task(singles)["a"] == pytest.approx(means["a"] - means[""])
    assert set(singles["max_size"]) == {1}
    assert by_task(task_importance(scores, max_size=9), "max_size")["a"] == 3
    with pytest.raises(InputError, match="max_size 0"):
        task_importance(scores, max_size=0)


def test_what_a_search_saw_is_fitted():
    scores = draw(
        np.random.default_rng(0), {n: value(n) for n in sequences("abcd", 3)}, 1, sd_noise=0
    )
    seen = scores[~scores["sequence"].isin(["c>d", "d>c", "a>b", "d"])]
    assert set(task_importance(seen)["method"]) == {"pairwise"}
    assert by_task(task_importance(seen)) == pytest.approx(by_task(task_importance(scores)))
    with pytest.raises(InputError, match=r"2 of 15 sets .* no score, d for one"):
        task_importance(seen, method="exact")
    few = scores[scores["sequence"].isin(["", "a", "b", "a>c", "b>c", "a>b", "b>a>c"])]
    found = task_importance(few)
    assert set(found["method"]) == {"additive"}
    # d was never seen, so it is no task of this table; z stands with y alone.
    assert set(found["task"]) == set("abc")
    extra = pd.DataFrame({"target": "tags", "sequence": ["y>z"], "seed": [0], "score": [70.0]})
    apart = by_task(task_importance(pd.concat([few, extra])))
    assert math.isnan(apart["y"])
    assert apart["a"] == pytest.approx(by_task(found)["a"])


def test_mixtures_and_targets_without_stages_are_left_out():
    scores = draw(np.random.default_rng(0), {"": 50, "a": 51, "b": 52, "a+b": 99}, 2)
    assert task_importance(scores)["num_sequences"].tolist() == [3, 3]
    assert task_importance(draw(np.random.default_rng(0), {"": 50}, 2)).empty


@pytest.mark.slow
@pytest.mark.parametrize("method", ["exact", "pairwise"])
def test_intervals_cover_the_truth(method):
    rng = np.random.default_rng(6)
    names = sequences("abcd", 3)
    truth = task_importance(draw(rng, {n: value(n) for n in names}, 1, sd_noise=0, sd_seed=0))
    intervals = {task: [] for task in WORTH}
    for _ in range(300):
        # Of a search's table the fit must also cover what orders do.
        quirk = 0.0 if method == "exact" else 1.0
        means = {name: value(name) + quirk * rng.normal() for name in names}
        scores = draw(rng, means, 2)
        if method == "pairwise":
            scores = scores[rng.random(len(scores)) < 0.7]
        found = task_importance(scores, method=method, max_size=3, confidence=0.9)
        for row in found.to_dict("records"):
            intervals[row["task"]].append((row["importance_low"], row["importance_high"]))
    rates = [coverage(intervals[task], by_task(truth)[task]) for task in WORTH]
    assert 0.86 <= np.mean(rates) <= 0.95
    assert min(rates) >= 0.84


def test_a_stage_that_harms_what_is_there():
    means = {name: 10.0 * ("a" in name) - 4.0 * name.endswith(">z") for name in sequences("abz", 2)}
    found = appended_effects(draw(np.random.default_rng(0), means, 2, sd_noise=0))
    changes = dict(zip(found["stage"], found["change"], strict=True))
    assert changes == pytest.approx({"a": 10, "b": 0, "z": -4})
    assert found["stage"].tolist() == ["a", "b", "z"]
    assert found["num_prefixes"].tolist() == [2, 2, 2]
    # The empty prefix does not count: that is the transfer matrix.
    assert appended_effects(draw(np.random.default_rng(0), {"": 1, "a": 2}, 2)).empty


def test_what_is_forgotten_step_by_step():
    means = {"a": 60, "a>x": 57, "a>y": 55, "a>x>y": 52, "b": 50, "b>x": 50}
    found = forgetting_curve(draw(np.random.default_rng(0), means, 2, sd_noise=0))
    rows = {(row["stage"], row["num_appended"]): row for row in found.to_dict("records")}
    assert rows["a", 1]["change"] == pytest.approx((-3 - 5) / 2)
    assert rows["a", 2]["change"] == pytest.approx(-8)
    assert rows["x", 1]["change"] == pytest.approx(-5)
    assert rows["", 1]["change"] == pytest.approx((-3 - 5 + 0 - 5) / 4)
    assert (rows["", 1]["num_prefixes"], rows["", 1]["num_pairs"]) == (3, 4)


@pytest.mark.slow
def test_the_curve_covers_the_truth():
    rng = np.random.default_rng(8)
    means = {"a": 60, "a>x": 57, "a>y": 55, "a>x>y": 52, "a>y>x": 50, "b": 50, "b>x": 50}
    intervals = []
    for _ in range(300):
        found = forgetting_curve(draw(rng, means, 3), confidence=0.9)
        row = found[(found["stage"] == "") & (found["num_appended"] == 1)].iloc[0]
        intervals.append((row["change_low"], row["change_high"]))
    assert 0.85 <= coverage(intervals, (-3 - 5 - 5 - 5 + 0) / 5) <= 0.95
