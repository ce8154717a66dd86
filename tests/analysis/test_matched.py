from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.matched import matched_difference, matched_effects
from tests.analysis.landscapes import coverage


def rows(cells):
    return pd.DataFrame(cells, columns=["context", "seed", "level", "score"])


def test_a_balanced_table_is_students_t_over_contexts():
    values = {"x": (5, 3), "y": (9, 6), "z": (4, 0)}
    table = rows([(c, 0, level, v) for c, pair in values.items() for level, v in enumerate(pair)])
    found, matched = matched_difference(table, (0, 1), 0.9)
    expected = stats.ttest_1samp([2, 3, 4], 0)
    interval = expected.confidence_interval(0.9)
    assert found.mean == pytest.approx(3)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert (matched.num_contexts, matched.num_seeds) == (3, 1)


def test_a_level_that_is_missing_in_good_contexts_does_no_harm():
    # Level 2 is 1 better than level 1, which is 1 better than level 0, in every context.
    table = rows([("x", 0, 0, 10), ("x", 0, 1, 11), ("y", 0, 1, 51), ("y", 0, 2, 52)])
    effects = [effect.mean for effect in matched_effects(table, (0, 1, 2), 0.9).effects]
    assert effects == pytest.approx([-1, 0, 1])


def test_a_single_context_has_an_interval_over_its_seeds():
    table = rows(
        [
            ("x", seed, level, 10 * seed + level * (seed + 1))
            for seed in range(3)
            for level in (0, 1)
        ]
    )
    found, matched = matched_difference(table, (1, 0), 0.9)
    interval = stats.ttest_1samp([1, 2, 3], 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert matched.num_contexts == 1


def test_what_cannot_be_told_is_unknown():
    apart = rows([("x", 0, 0, 1), ("x", 0, 1, 2), ("y", 0, 2, 3), ("y", 0, 3, 4)])
    assert all(math.isnan(e.mean) for e in matched_effects(apart, (0, 1, 2, 3), 0.9).effects)
    lonely = rows([("x", 0, 0, 1), ("y", 0, 1, 2)])
    assert math.isnan(matched_difference(lonely, (0, 1), 0.9)[0].mean)
    once = rows([("x", 0, 0, 1), ("x", 0, 1, 2)])
    found = matched_difference(once, (1, 0), 0.9)[0]
    assert found.mean == 1
    assert math.isnan(found.low)


def test_intervals_cover_the_truth_with_holes_in_the_table():
    rng = np.random.default_rng(3)
    truth = np.array([-1.0, 0.0, 1.0])
    intervals = []
    for _ in range(300):
        cells = [
            (context, seed, level, base + luck + truth[level] + own[level] + rng.normal())
            for context, base in enumerate(rng.normal(50, 5, 10))
            for own in [rng.normal(0, 0.5, 3)]
            for seed, luck in enumerate(rng.normal(0, 2, 2))
            for level in range(3)
            if (context + level) % 4
        ]
        effect = matched_effects(rows(cells), (0, 1, 2), 0.9).effects[2]
        intervals.append((effect.low, effect.high))
    assert 0.85 <= coverage(intervals, 1.0) <= 0.95
