from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.contrasts import SeedModel
from analysis.intervals import adjust_holm, estimate_crossed, estimate_mean
from tests.analysis.landscapes import coverage, draw


def test_a_complete_table_gives_the_paired_difference():
    scores = draw(np.random.default_rng(0), {"": 50, "a": 55, "b": 51}, 4)
    model = SeedModel(scores)
    wide = scores.pivot(index="seed", columns="sequence", values="score")
    found = model.contrast({"a": 1, "": -1}, 0.9)
    assert found.mean == pytest.approx((wide["a"] - wide[""]).mean())
    assert model.degrees == 6
    assert found.high - found.mean == pytest.approx(
        stats.t.ppf(0.95, 6) * model.sd * math.sqrt(2 / 4)
    )
    assert found.num == 8


def test_a_lucky_seed_is_not_mistaken_for_a_better_sequence():
    # Seed 1 is 10 better than seed 0 for all; `a` ran on seed 1 alone and is no better than `b`.
    cells = [("", 0, 50), ("", 1, 60), ("b", 0, 53), ("b", 1, 63), ("a", 1, 63)]
    model = SeedModel(pd.DataFrame(cells, columns=["sequence", "seed", "score"]))
    assert model.contrast({"a": 1, "b": -1}, 0.9).mean == pytest.approx(0)
    assert model.contrast({"a": 1, "": -1}, 0.9).mean == pytest.approx(3)


def test_what_no_seed_joins_is_unknown():
    cells = [("", 0, 50), ("b", 0, 53), ("a", 1, 60), ("c", 1, 61), ("c", 2, 61)]
    model = SeedModel(pd.DataFrame(cells, columns=["sequence", "seed", "score"]))
    assert math.isnan(model.contrast({"a": 1, "": -1}, 0.9).mean)
    assert model.contrast({"c": 1, "a": -1}, 0.9).mean == pytest.approx(1)
    assert math.isnan(model.contrast({"c": 1, "a": -1}, 0.9).low)
    assert math.isnan(model.contrast({"c": 1, "z": -1}, 0.9).mean)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_a_table_with_holes_agrees_with_least_squares(seed):
    rng = np.random.default_rng(seed)
    scores = draw(rng, {"": 50, "a": 55, "b": 51, "c": 40}, 3)
    scores = scores[rng.random(len(scores)) < 0.8]
    if scores["sequence"].nunique() < 2:
        return
    model = SeedModel(scores)
    design = pd.get_dummies(scores[["sequence", "seed"]].astype("str")).to_numpy(dtype=float)
    solution, _, rank, _ = np.linalg.lstsq(design, scores["score"].to_numpy(), rcond=None)
    rest = scores["score"].to_numpy() - design @ solution
    assert model.degrees == len(scores) - rank
    if model.degrees:
        assert model.sd == pytest.approx(math.sqrt(rest @ rest / model.degrees), abs=1e-9)
    first, second = model.sequences[:2]
    found = model.contrast({first: 1, second: -1}, 0.9).mean
    if not math.isnan(found):
        assert found == pytest.approx(solution[0] - solution[1], abs=1e-8)


def test_contrasts_cover_the_truth_with_holes_in_the_table():
    rng = np.random.default_rng(1)
    means = {"": 50.0, "a": 55.0, "b": 51.0, "a>b": 57.0}
    weights = {"a>b": 1.0, "a": -0.5, "b": -0.5}
    intervals = []
    for _ in range(300):
        scores = draw(rng, means, 4, sd_seed=3.0)
        model = SeedModel(scores.drop(index=[0, 5, 14]))
        found = model.contrast(weights, 0.9)
        intervals.append((found.low, found.high))
    assert 0.85 <= coverage(intervals, 4.0) <= 0.95


def test_crossed_means_by_hand():
    one_row = estimate_crossed([[1.0, 2.0, 4.0]], 0.95)
    assert (one_row.low, one_row.high) == pytest.approx(
        (estimate_mean([1, 2, 4], 0.95).low, estimate_mean([1, 2, 4], 0.95).high)
    )
    assert math.isnan(estimate_crossed([[1.0], [2.0]], 0.95).low)
    assert math.isnan(estimate_crossed(np.empty((0, 2)), 0.95).mean)
    # Rows differ, seeds do not at all: Student over the rows.
    rows = estimate_crossed([[1.0, 1.0], [2.0, 2.0], [6.0, 6.0]], 0.95)
    assert rows.low == pytest.approx(estimate_mean([1, 2, 6], 0.95).low)
    assert rows.num == 3


@pytest.mark.parametrize(("sd_row", "sd_column"), [(2.0, 0.0), (1.0, 1.0), (0.0, 2.0)])
def test_crossed_means_cover_the_truth(sd_row, sd_column):
    rng = np.random.default_rng(2)
    intervals = []
    for _ in range(300):
        rows, columns = rng.normal(0, sd_row, (6, 1)), rng.normal(0, sd_column, (1, 4))
        found = estimate_crossed(rows + columns + rng.normal(0, 1, (6, 4)), 0.9)
        intervals.append((found.low, found.high))
    assert 0.85 <= coverage(intervals, 0.0) <= 0.96


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_lowers(values):
    adjusted = adjust_holm(values)
    assert all(found >= value for found, value in zip(adjusted, values, strict=True))
    order = np.argsort(values, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)
    if values:
        assert min(adjusted) == min(1.0, len(values) * min(values))
