from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from trainables.similarity.logme import log_evidence


def draw(seed, num, size, noise):
    """Return states and labels, the labels a noisy function of the first state."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(num, size))
    labels = (states[:, 0] + noise * rng.normal(size=num) > 0).astype(np.int64)
    return states, labels


def largest_evidence(states, y):
    """Maximise log N(y; 0, F F^T / alpha + 1 / beta) a sample, as it is defined."""

    def loss(logs):
        alpha, beta = np.exp(logs)
        covariance = states @ states.T / alpha + np.eye(len(y)) / beta
        return -multivariate_normal(np.zeros(len(y)), covariance).logpdf(y) / len(y)

    starts = [(0.0, 0.0), (2.0, 2.0), (-1.0, 3.0)]
    return max(-minimize(loss, start, method="Nelder-Mead").fun for start in starts)


def test_a_hand_computed_evidence():
    # One state, 1 everywhere, so the covariance of y is I / beta + 1 1^T / alpha: variance v of the
    # mean's direction, s of the three others. Of y = (1, 1, 0, 0) the mean's direction holds
    # (2 / sqrt 4)^2 = 1 and the others 2 - 1 = 1, so v = 1 and s = 1 / 3 at the largest; the other
    # class is the same.
    # log N = -(4 log 2 pi + log v + 3 log s + 1 + 3) / 2, and a quarter of it a sample.
    by_hand = -(math.log(2 * math.pi) + 3 / 4 * math.log(1 / 3) + 1) / 2
    assert log_evidence(np.ones((4, 1)), np.array([0, 0, 1, 1])) == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize(("num", "size"), [(30, 3), (12, 20), (15, 15)])
def test_it_is_the_largest_evidence_of_the_definition(num, size):
    states, labels = draw(num, num, size, noise=1.0)
    expected = np.mean([largest_evidence(states, (labels == c).astype(float)) for c in (0, 1)])
    assert log_evidence(states, labels) == pytest.approx(expected, abs=1e-4)


def test_every_class_counts_alike():
    states, _ = draw(0, 40, 4, 0.0)
    labels = np.arange(40) % 3 * 7  # Any whole numbers.
    ones = [largest_evidence(states, (labels == c).astype(float)) for c in (0, 7, 14)]
    assert log_evidence(states, labels) == pytest.approx(np.mean(ones), abs=1e-4)


def test_states_that_tell_the_labels_have_more_evidence():
    telling, labels = draw(1, 100, 5, noise=0.1)
    noise = np.random.default_rng(2).normal(size=telling.shape)
    assert log_evidence(telling, labels) > log_evidence(noise, labels)


def test_labels_without_noise_are_no_accident():
    states = np.eye(4)[np.arange(24) % 4]
    assert np.isfinite(log_evidence(states, np.arange(24) % 4))
    assert np.isfinite(log_evidence(np.zeros((6, 2)), np.arange(6) % 2))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100), st.floats(0.01, 100))
def test_neither_scale_nor_rotation_of_the_states_matters(seed, factor):
    states, labels = draw(seed, 25, 4, noise=1.0)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))
    expected = log_evidence(states, labels)
    assert log_evidence(states @ rotation, labels) == pytest.approx(expected, abs=1e-4)
    assert log_evidence(factor * states, labels) == pytest.approx(expected, abs=1e-3)
