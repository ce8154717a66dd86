"""LogME: the evidence of the target's labels under a Bayesian linear model on given states.

Labels y are a linear function of states F plus noise: y ~ N(F w, 1 / beta), w ~ N(0, 1 / alpha).
The logarithm of the evidence p(y | F, alpha, beta) is maximised over alpha and beta and divided by
the number of samples. Each class is a regression of its own on 0 and 1, and the mean is taken.

Source: You et al. 2021, arXiv:2102.11005, algorithm 2 and equation 2; the fixed-point iteration
on a singular value decomposition is that of You et al. 2021, arXiv:2110.10545.
"""

from __future__ import annotations

import numpy as np

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.labelled_states import Floats, Labels, rate_states
from trainables.similarity.subjects import Subject

MAX_ITERATIONS = 200
TOLERANCE = 1e-6
#: Bounds of alpha and beta: labels without noise, or without any relation to the states.
LEAST, MOST = 1e-10, 1e10


def logme(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the LogME of the source-tuned encoder on the target's training data."""
    return rate_states(bench, source, target, log_evidence)


def log_evidence(states_NH: Floats, labels_N: Labels) -> float:
    """Return the maximum log evidence a sample, averaged over classes.

    Args:
        states_NH: States; N may be smaller than H.
        labels_N: Class of each sample, any whole numbers.
    """
    u_NK, singular_K, _ = np.linalg.svd(states_NH, full_matrices=False)
    values = [
        _maximum(u_NK, singular_K**2, states_NH.shape[1], (labels_N == label).astype(np.float64))
        for label in np.unique(labels_N)
    ]
    return float(np.mean(values))


def _maximum(u_NK: Floats, square_K: Floats, size: int, y_N: Floats) -> float:
    """Return the maximum over alpha and beta of the log evidence of one regression, a sample."""
    num = len(y_N)
    z_K = u_NK.T @ y_N
    outside = max(0.0, float(y_N @ y_N - z_K @ z_K))  # What no weights can reach.
    alpha = beta = 1.0
    for _ in range(MAX_ITERATIONS):
        norm, residual = _fit(alpha, beta, square_K, z_K, outside)
        gamma = float(np.sum(beta * square_K / (alpha + beta * square_K)))
        before = np.log([alpha, beta])
        alpha = _bounded(gamma, norm)
        beta = _bounded(num - gamma, residual)
        if np.abs(np.log([alpha, beta]) - before).max() < TOLERANCE:
            break
    norm, residual = _fit(alpha, beta, square_K, z_K, outside)
    log_determinant = float(np.sum(np.log(alpha + beta * square_K)))
    log_determinant += (size - len(square_K)) * np.log(alpha)
    evidence = (
        num * np.log(beta)
        + size * np.log(alpha)
        - num * np.log(2 * np.pi)
        - beta * residual
        - alpha * norm
        - log_determinant
    ) / 2
    return float(evidence / num)


def _fit(
    alpha: float, beta: float, square_K: Floats, z_K: Floats, outside: float
) -> tuple[float, float]:
    """Return the squared norm of the posterior mean's weights, and of its residuals."""
    denominator_K = alpha + beta * square_K
    norm = float(np.sum(square_K * (beta * z_K / denominator_K) ** 2))
    residual = float(np.sum((alpha * z_K / denominator_K) ** 2)) + outside
    return norm, residual


def _bounded(numerator: float, denominator: float) -> float:
    if denominator <= numerator / MOST:
        return MOST
    return max(LEAST, numerator / denominator)
