from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.variance import VARIANCE, variance_components
from benchmarks.landscape import describe, final_scores
from tests.analysis.landscapes import coverage, draw, sequences


def simulate(rng, names, num_seeds, sds):
    """Draw a landscape: sets, orders within sets, seeds and noise of given deviations."""
    sd_set, sd_order, sd_seed, sd_noise = sds
    sets = {frozenset(name.split(">")): rng.normal(0, sd_set) for name in names}
    means = {
        name: 50 + sets[frozenset(name.split(">"))] + rng.normal(0, sd_order) for name in names
    }
    return draw(rng, means, num_seeds, sd_seed=sd_seed, sd_noise=sd_noise)


def by_component(found):
    return {row["component"]: row for row in found.to_dict("records")}


def test_a_balanced_table_is_the_textbooks_analysis_of_variance():
    # Two sets of two orders under two seeds; no interaction of order and seed but 1 in one cell.
    cells = {("a>b", 0): 10, ("a>b", 1): 12, ("b>a", 0): 14, ("b>a", 1): 16,
             ("c>d", 0): 20, ("c>d", 1): 22, ("d>c", 0): 24, ("d>c", 1): 27}  # fmt: skip
    scores = pd.DataFrame(
        [("tags", name, seed, score) for (name, seed), score in cells.items()],
        columns=["target", "sequence", "seed", "score"],
    )
    found = by_component(variance_components(scores))
    values = np.array(list(cells.values()), dtype=float).reshape(2, 2, 2)
    mean = values.mean()
    by_set, by_order, by_seed = values.mean((1, 2)), values.mean(2), values.mean((0, 1))
    ms_set = 4 * ((by_set - mean) ** 2).sum() / 1
    ms_order = 2 * ((by_order - by_set[:, None]) ** 2).sum() / 2
    ms_seed = 4 * ((by_seed - mean) ** 2).sum() / 1
    rest = values - by_order[:, :, None] - by_seed + mean
    ms_rest = (rest**2).sum() / 3
    assert found["residual"]["variance"] == pytest.approx(ms_rest)
    assert found["seed"]["variance"] == pytest.approx((ms_seed - ms_rest) / 4)
    assert found["order"]["variance"] == pytest.approx((ms_order - ms_rest) / 2)
    assert found["set"]["variance"] == pytest.approx((ms_set - ms_order) / 4)
    from scipy import stats  # noqa: PLC0415

    assert found["order"]["p"] == pytest.approx(stats.f.sf(ms_order / ms_rest, 2, 3))
    assert found["set"]["p"] == pytest.approx(stats.f.sf(ms_set / ms_order, 1, 2))
    assert [row["degrees"] for row in found.values()] == [1, 2, 1, 3]
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)


def test_the_recorded_landscapes_order_component_agrees_with_the_benchmarks():
    table = pd.read_csv("benchmarks/data/mini_table.csv")
    found = by_component(variance_components(table, "mini_xqa"))
    by_hand = describe(final_scores(table)["mini_xqa"], "mini_noise")
    # The benchmark counts a seed's common luck as noise; here it is a component of its own.
    assert found["order"]["sd"] == pytest.approx(float(by_hand["order SD"]), abs=0.5)
    noise = math.hypot(found["seed"]["sd"], found["residual"]["sd"])
    assert noise == pytest.approx(float(by_hand["seed SD"]), abs=0.5)


def test_estimates_have_no_bias_with_holes_in_the_table():
    rng = np.random.default_rng(0)
    names = [name for name in sequences("abcd", 3) if name]
    sds = (3.0, 1.5, 1.0, 2.0)
    totals = np.zeros(4)
    for _ in range(150):
        scores = simulate(rng, names, 3, sds)
        found = variance_components(scores[rng.random(len(scores)) < 0.7])
        totals += found["variance"].to_numpy()
    assert totals / 150 == pytest.approx(np.square(sds), rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("sds", [(3.0, 1.5, 1.0, 1.0), (1.0, 1.0, 1.0, 4.0)])
def test_intervals_of_shares_cover_the_truth(sds):
    rng = np.random.default_rng(2)
    names = [name for name in sequences("abcd", 3) if name]
    truth = np.square(sds) / np.square(sds).sum()
    intervals = [[] for _ in truth]
    for _ in range(300):
        scores = simulate(rng, names, 2, sds)
        found = variance_components(scores[rng.random(len(scores)) < 0.9], confidence=0.9)
        for k, row in enumerate(found.to_dict("records")):
            intervals[k].append((row["share_low"], row["share_high"]))
    for k, share in enumerate(truth):
        assert 0.85 <= coverage(intervals[k], share) <= 0.97


def test_one_seed_cannot_tell_order_from_noise():
    rng = np.random.default_rng(0)
    names = [name for name in sequences("abcd", 3) if name]
    found = variance_components(simulate(rng, names, 1, (3, 1, 1, 1)))
    assert found["component"].tolist() == ["set", "order+residual"]
    assert found["share"].sum() == pytest.approx(1)
    assert (found["share_low"] < found["share"]).all()


def test_what_one_table_cannot_say_is_left_out():
    rng = np.random.default_rng(0)
    empty = variance_components(simulate(rng, ["a>b", "b>a"], 2, (1, 1, 1, 1)))
    assert empty.empty
    assert list(empty.columns) == [column.name for column in VARIANCE]
    # Sets of one order each: nothing is known of orders.
    found = by_component(variance_components(simulate(rng, list("abcdef"), 2, (1, 1, 1, 1))))
    assert math.isnan(found["order"]["variance"])
    assert math.isnan(found["set"]["share_low"])
    assert found["set"]["share"] + found["seed"]["share"] + found["residual"]["share"] == (
        pytest.approx(1)
    )


def test_the_empty_sequence_and_the_way_rows_are_sorted_do_not_matter():
    rng = np.random.default_rng(0)
    names = ["", *map(">".join, itertools.permutations("abc", 2))]
    scores = simulate(rng, names, 3, (1, 1, 1, 1))
    found = variance_components(scores)
    shuffled = scores.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(found, variance_components(shuffled))
    pd.testing.assert_frame_equal(found, variance_components(scores[scores["sequence"] != ""]))


def test_scores_that_are_all_the_same():
    found = variance_components(simulate(np.random.default_rng(0), ["a", "b", "a>b"], 2, (0,) * 4))
    assert (found["sd"].dropna() == 0).all()
    assert found["share"].isna().all()
