from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.matched import matched_difference, matched_effects
from tests.analysis.landscapes import coverage


def test_a_balanced_table_is_students_t_over_contexts():
    values = {"x": (3, 5), "y": (6, 9), "z": (0, 4)}
    table = [(c, 0, level, v) for c, pair in values.items() for level, v in enumerate(pair)]
    found, matched = matched_difference(table, 0.9)
    expected = stats.ttest_1samp([2, 3, 4], 0)
    interval = expected.confidence_interval(0.9)
    assert found.mean == pytest.approx(3)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert (matched.num_contexts, matched.num_seeds) == (3, 1)


def test_a_level_that_is_missing_in_good_contexts_does_no_harm():
    # Level 2 is 1 better than level 1, which is 1 better than level 0, in every context.
    table = [("x", 0, 0, 10), ("x", 0, 1, 11), ("y", 0, 1, 51), ("y", 0, 2, 52)]
    effects = [effect.mean for effect in matched_effects(table, 3, 0.9).effects]
    assert effects == pytest.approx([-1, 0, 1])


def test_a_single_context_has_an_interval_over_its_seeds():
    table = [
        ("x", seed, level, 10 * seed + level * (seed + 1)) for seed in range(3) for level in (0, 1)
    ]
    found, matched = matched_difference(table, 0.9)
    interval = stats.ttest_1samp([1, 2, 3], 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert matched.num_contexts == 1


def test_what_cannot_be_told_is_unknown():
    apart = [("x", 0, 0, 1), ("x", 0, 1, 2), ("y", 0, 2, 3), ("y", 0, 3, 4)]
    assert all(math.isnan(e.mean) for e in matched_effects(apart, 4, 0.9).effects)
    lonely = [("x", 0, 0, 1), ("y", 0, 1, 2)]
    assert math.isnan(matched_difference(lonely, 0.9)[0].mean)
    once = [("x", 0, 0, 1), ("x", 0, 1, 2)]
    found = matched_difference(once, 0.9)[0]
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
        effect = matched_effects((cells), 3, 0.9).effects[2]
        intervals.append((effect.low, effect.high))
    assert 0.85 <= coverage(intervals, 1.0) <= 0.95
