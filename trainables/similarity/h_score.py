"""H-score: how far the classes' means are apart, in units of the states' spread.

tr(cov(F)^-1 cov(E[F | y])) for states F and labels y. With fewer samples than dimensions the
inverse does not exist, and with few more it says little, so the covariance is shrunk towards a
multiple of the identity.

Source: Bao et al. 2019, arXiv:2212.10082 (ICIP 2019), definition 2; the shrinkage is that of
Ibrahim et al. 2021, arXiv:2110.06893, with the intensity of Ledoit and Wolf 2004,
doi:10.1016/S0047-259X(03)00096-4.
"""

from __future__ import annotations

import numpy as np

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.labelled_states import Floats, Labels, rate_states
from trainables.similarity.subjects import Subject


def h_score(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the H-score of the source-tuned encoder on the target's training data."""
    return rate_states(bench, source, target, class_separation)


def class_separation(states_NH: Floats, labels_N: Labels, shrinkage: float | None = None) -> float:
    """Return the H-score, from 0 to one less than the number of classes.

    Args:
        states_NH: States.
        labels_N: Class of each sample, any whole numbers.
        shrinkage: From 0 (Bao et al.) to 1; estimated from the states for ``None``.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage  # noqa: PLC0415  (a second to import)

    centred_NH = states_NH - states_NH.mean(0)
    if shrinkage is None:
        shrinkage = float(ledoit_wolf_shrinkage(centred_NH, assume_centered=True))
    covariance_HH = centred_NH.T @ centred_NH / len(centred_NH)
    size = len(covariance_HH)
    shrunk_HH = (1 - shrinkage) * covariance_HH
    shrunk_HH += shrinkage * np.trace(covariance_HH) / size * np.eye(size)
    means_NH = np.zeros_like(centred_NH)
    for label in np.unique(labels_N):
        means_NH[labels_N == label] = centred_NH[labels_N == label].mean(0)
    between_HH = means_NH.T @ means_NH / len(means_NH)
    found = np.linalg.pinv(shrunk_HH, hermitian=True) @ between_HH
    return float((1 - shrinkage) * np.trace(found))
