from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.predictiveness import (
    MEAN_GAIN,
    RANDOM,
    expected_best,
    similarity_advantage,
    similarity_predictiveness,
)
from spaces.errors import InputError, UnknownNameError
from tests.analysis.landscapes import coverage

GAINS = {
    "t1": {"a": 5.0, "b": 1.0, "c": -2.0, "d": 0.0},
    "t2": {"a": 4.0, "b": 3.0, "c": -1.0, "d": 0.0},
    "t3": {"a": -3.0, "b": 2.0, "c": 6.0, "d": 1.0},
}


def gains(table=GAINS):
    rows = [(task, target, gain) for target, row in table.items() for task, gain in row.items()]
    return pd.DataFrame(rows, columns=["task", "target", "gain"])


def similarities(measure, table):
    rows = [
        (source, target, measure, value)
        for target, row in table.items()
        for source, value in row.items()
    ]
    return pd.DataFrame(rows, columns=["source", "target", "measure", "value"])


def look_up(found, measure, target, statistic):
    rows = found[
        (found["measure"] == measure)
        & (found["target"] == target)
        & (found["statistic"] == statistic)
    ]
    (row,) = rows.to_dict("records")
    return row


def test_a_perfect_and_a_reversed_ranking():
    exact = similarities("exact", GAINS)
    reverse = exact.assign(measure="reverse", value=-exact["value"])
    found = similarity_predictiveness(pd.concat([exact, reverse]), gains())
    assert look_up(found, "exact", "t1", "spearman")["value"] == pytest.approx(1)
    assert look_up(found, "exact", "t1", "ndcg")["value"] == pytest.approx(1)
    assert look_up(found, "exact", "t1", "regret@1")["value"] == 0
    assert look_up(found, "reverse", "t1", "spearman")["value"] == pytest.approx(-1)
    assert look_up(found, "reverse", "t1", "regret@1")["value"] == 7
    assert look_up(found, "reverse", "t1", "regret@3")["value"] == 4
    assert look_up(found, "reverse", "t1", "regret@5")["value"] == 0
    # Gains above the least: 7, 3, 2, 0, ranked the wrong way round.
    worst = (0 + 2 / np.log2(3) + 3 / 2 + 7 / np.log2(5)) / (7 + 3 / np.log2(3) + 2 / 2)
    assert look_up(found, "reverse", "t1", "ndcg")["value"] == pytest.approx(worst)
    overall = look_up(found, "exact", "all", "regret@1")
    assert (overall["value"], overall["num_targets"], overall["num_tasks"]) == (0, 3, 12)


def test_the_mean_gain_on_other_targets():
    found = similarity_predictiveness(similarities("x", GAINS), gains())
    # For t3: a 4.5, b 2, d 0, c -1.5; by gain c, b, d, a.
    assert look_up(found, MEAN_GAIN, "t3", "regret@1")["value"] == 9
    assert look_up(found, MEAN_GAIN, "t3", "regret@3")["value"] == 4
    expected = stats.spearmanr([4.5, 2, -1.5, 0], [-3, 2, 6, 1]).statistic
    assert look_up(found, MEAN_GAIN, "t3", "spearman")["value"] == pytest.approx(expected)
    alone = similarity_predictiveness(similarities("x", GAINS), gains({"t1": GAINS["t1"]}))
    assert MEAN_GAIN not in set(alone["measure"])


# Without a deadline: a busy machine must not fail it.
@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=6), st.integers(1, 6))
def test_random_is_the_exact_mean_over_rankings(values, k):
    table = {"t": dict(zip("abcdef", map(float, values), strict=False))}
    found = similarity_predictiveness(similarities("x", table), gains(table), ks=[k])
    rankings = list(itertools.permutations(values))
    regrets = [max(values) - max(ranking[:k]) for ranking in rankings]
    assert look_up(found, RANDOM, "t", f"regret@{k}")["value"] == pytest.approx(np.mean(regrets))
    discounts = 1 / np.log2(2 + np.arange(len(values)))
    best = (np.sort(np.array(values) - min(values))[::-1] * discounts).sum()
    if best:
        sums = [((np.array(ranking) - min(values)) * discounts).sum() for ranking in rankings]
        assert look_up(found, RANDOM, "t", "ndcg")["value"] == pytest.approx(np.mean(sums) / best)
    assert look_up(found, RANDOM, "t", "spearman")["value"] == 0


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5)), min_size=2, max_size=6),
    st.integers(1, 4),
)
def test_ties_count_as_the_mean_over_ways_to_break_them(pairs, k):
    names = "abcdef"
    value = {"t": {name: float(v) for name, (v, _) in zip(names, pairs, strict=False)}}
    gain = {"t": {name: float(g) for name, (_, g) in zip(names, pairs, strict=False)}}
    found = similarity_predictiveness(similarities("x", value), gains(gain), ks=[k])
    top = max(g for _, g in pairs)
    regrets = [
        top - max(g for _, g in sorted(order, key=lambda pair: -pair[0])[:k])
        for order in itertools.permutations(pairs)
    ]
    assert look_up(found, "x", "t", f"regret@{k}")["value"] == pytest.approx(np.mean(regrets))


def test_the_expected_best_of_some():
    assert expected_best([3.0, 1.0, 2.0], 1) == pytest.approx(2)
    assert expected_best([3.0, 1.0, 2.0], 9) == 3
    rng = np.random.default_rng(0)
    values = rng.normal(size=9)
    drawn = [rng.choice(values, 3, replace=False).max() for _ in range(20_000)]
    assert expected_best(values, 3) == pytest.approx(np.mean(drawn), abs=0.02)


@pytest.mark.slow
def test_intervals_of_a_rank_correlation_cover_the_truth():
    rng = np.random.default_rng(0)
    rho = 0.6
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's of a bivariate normal
    intervals = []
    for _ in range(300):
        x, y = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=20).T
        table = {"t": dict(zip(map(str, range(20)), x, strict=True))}
        gain = {"t": dict(zip(map(str, range(20)), y, strict=True))}
        found = similarity_predictiveness(
            similarities("x", table), gains(gain), ks=[], confidence=0.9
        )
        row = look_up(found, "x", "t", "spearman")
        intervals.append((row["value_low"], row["value_high"]))
    assert 0.85 <= coverage(intervals, truth) <= 0.96


def many_targets(rng, quality, num=12):
    """Gains of eight tasks whose similarity is as good as asked; the same on average over all."""
    gain = {f"t{i}": dict(zip("abcdefgh", rng.normal(0, 3, 8), strict=True)) for i in range(num)}
    value = {
        target: {name: quality * g + rng.normal(0, 3) for name, g in row.items()}
        for target, row in gain.items()
    }
    return similarities("x", value), gains(gain)


def test_a_measure_that_beats_the_baselines_is_called_better():
    found = similarity_predictiveness(*many_targets(np.random.default_rng(0), 3.0))
    for baseline in (MEAN_GAIN, RANDOM):
        verdicts = similarity_advantage(found, baseline)
        mine = verdicts[verdicts["measure"] == "x"].set_index("statistic")
        assert mine.loc[["spearman", "ndcg", "regret@1"], "verdict"].tolist() == ["better"] * 3
        assert (mine.loc[["spearman", "ndcg", "regret@1"], "p"] < 0.05).all()
        assert (mine["p_holm"] >= mine["p"]).all()
    with pytest.raises(UnknownNameError, match="unknown measure 'mean'"):
        similarity_advantage(found, "mean")


@pytest.mark.slow
def test_a_measure_without_value_is_seldom_called_better():
    rng = np.random.default_rng(1)
    p_values, verdicts = [], []
    for _ in range(150):
        found = similarity_predictiveness(*many_targets(rng, 0.0, 8), ks=[1])
        against = similarity_advantage(found, RANDOM, confidence=0.9)
        row = against[(against["measure"] == "x") & (against["statistic"] == "spearman")].iloc[0]
        p_values.append(row["p"])
        verdicts.append(row["verdict"] != "not decided")
    assert np.mean(np.array(p_values) < 0.1) <= 0.15
    assert 0.04 <= np.mean(verdicts) <= 0.16


def test_few_targets_decide_nothing():
    found = similarity_predictiveness(similarities("x", GAINS), gains({"t1": GAINS["t1"]}))
    row = similarity_advantage(found, RANDOM).iloc[0]
    assert row["verdict"] == "not decided"
    assert math.isnan(row["p"])
    assert math.isnan(row["advantage_low"])


def test_what_is_not_known_is_left_out():
    table = {"t1": {"a": 1.0, "b": float("nan"), "c": 0.0, "z": 5.0}, "t9": {"a": 1.0}}
    found = similarity_predictiveness(similarities("x", table), gains())
    assert look_up(found, "x", "t1", "regret@1")["num_tasks"] == 2
    assert "t9" not in set(found["target"])
    same = similarity_predictiveness(similarities("x", {"t1": dict.fromkeys("abcd", 1.0)}), gains())
    assert math.isnan(look_up(same, "x", "t1", "spearman")["value"])


def test_bad_frames_are_refused():
    good = similarities("x", GAINS)
    with pytest.raises(InputError, match="similarities: no column 'value'"):
        similarity_predictiveness(good.drop(columns="value"), gains())
    with pytest.raises(InputError, match="gains: no column 'source'"):
        similarity_predictiveness(good, gains().drop(columns="task"))
    with pytest.raises(InputError, match="measure 'x', target 't1', source 'a': there twice"):
        similarity_predictiveness(pd.concat([good, good]), gains())
    with pytest.raises(InputError, match="k of at least 1"):
        similarity_predictiveness(good, gains(), ks=[0])
