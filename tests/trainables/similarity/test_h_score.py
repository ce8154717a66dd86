from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.similarity.h_score import class_separation


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def test_a_hand_computed_score():
    # Mean 3, variance (9 + 1 + 1 + 9) / 4 = 5; class means 1 and 5, variance 4.
    labels = np.array([0, 0, 1, 1])
    assert class_separation(column(0, 2, 4, 6), labels, 0.0) == pytest.approx(4 / 5)
    # In one dimension shrinking keeps the variance: the factor alone is left.
    assert class_separation(column(0, 2, 4, 6), labels, 0.25) == pytest.approx(0.75 * 4 / 5)


def test_a_hand_computed_score_in_two_dimensions():
    # Four corners of a square: covariance the identity. Classes by the first coordinate: 1.
    states = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert class_separation(states, np.array([3, 3, 5, 5]), 0.0) == pytest.approx(1)
    # Each corner a class of its own: 2; diagonal corners together: their means are equal.
    assert class_separation(states, np.arange(4), 0.0) == pytest.approx(2)
    assert class_separation(states, np.array([0, 1, 1, 0]), 0.0) == pytest.approx(0, abs=1e-12)


def test_shrinking_keeps_few_samples_from_telling_everything():
    rng = np.random.default_rng(0)
    states, labels = rng.normal(size=(20, 100)), np.arange(20) % 2
    # More dimensions than samples: any labels can be told, as Bao et al. define it.
    assert class_separation(states, labels, 0.0) == pytest.approx(1)
    assert class_separation(states, labels) < 0.5
    assert class_separation(states, labels, 1.0) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_invertible_maps_change_nothing_without_shrinking(seed):
    rng = np.random.default_rng(seed)
    states, labels = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    map_ = rng.normal(size=(3, 3)) + 3 * np.eye(3)
    expected = class_separation(states, labels, 0.0)
    assert 0 <= expected <= 2
    assert class_separation(states @ map_ + 5, labels, 0.0) == pytest.approx(expected)
