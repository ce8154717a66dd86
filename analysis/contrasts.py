"""Sums and differences of many sequences' scores, with the noise between seeds.

Symbols: y[i, j] = mu[i] + s[j] + e[i, j] as in ``analysis.intervals``, fitted by least squares to
whatever cells there are. A contrast is a sum c[i] mu[i] with c summing to 0, so that a seed which
is lucky for all sequences alike cancels, and a sequence that lacks a seed is not mistaken for a
worse one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.intervals import Estimate, student


class SeedModel:
    """The two-way model of one target's scores.

    Args:
        scores: One row per sequence and seed: ``sequence``, ``seed``, ``score`` (no NaN).

    Attributes:
        sequences: Names of the sequences, sorted.
        effects: mu[i] in their order, relative to an unknown level: only contrasts mean anything.
        sd: Residual standard deviation sigma_e (points); NaN without a degree of freedom.
        degrees: Its degrees of freedom.

    The residuals are taken to scatter alike for all sequences. Landscape and sequences are fixed:
    intervals speak of other seeds, not of other sequences.
    """

    def __init__(self, scores: pd.DataFrame) -> None:
        table = scores.pivot_table(index="sequence", columns="seed", values="score", sort=True)
        values = table.to_numpy(dtype=float)
        known = ~np.isnan(values)
        self.sequences = tuple(str(name) for name in table.index)
        self._index = {name: i for i, name in enumerate(self.sequences)}
        self._known = known
        self._num = known.sum(axis=1)
        means = np.nansum(values, axis=1) / np.maximum(self._num, 1)
        centred = np.where(known, values - means[:, None], 0.0)
        shares = known / np.maximum(self._num, 1)[:, None]
        normal = np.diag(known.sum(axis=0)) - known.T.astype(float) @ shares
        self._inverse = np.linalg.pinv(normal, hermitian=True)
        self._range = normal @ self._inverse
        seeds = self._inverse @ centred.sum(axis=0)
        self.effects = means - shares @ seeds
        rest = np.where(known, values - self.effects[:, None] - seeds[None, :], 0.0)
        rank = round(float(np.trace(self._range))) if len(seeds) else 0
        self.degrees = int(known.sum()) - len(self.sequences) - rank
        squares = float((rest**2).sum())
        self.sd = math.sqrt(squares / self.degrees) if self.degrees > 0 else float("nan")

    def contrast(self, weights: Mapping[str, float], confidence: float) -> Estimate:
        """Estimate a weighted sum of the sequences' scores.

        Args:
            weights: c by sequence; they sum to 0.
            confidence: Coverage of the interval, Student's t.

        Returns:
            The estimate; ``num`` is the number of scores of the sequences in it. NaN where a
            sequence is missing, or where no chain of common seeds joins the sequences.
        """
        if any(name not in self._index for name in weights):
            return Estimate()
        dense = np.zeros(len(self.sequences))
        for name, weight in weights.items():
            dense[self._index[name]] += weight
        return self.dense_contrast(dense, confidence)

    def dense_contrast(self, weights: Any, confidence: float) -> Estimate:
        """Estimate a contrast given by a weight for every sequence of ``sequences``."""
        assert abs(float(weights.sum())) < 1e-6, "not a contrast"
        used = weights != 0
        num = int(self._num[used].sum())
        sensitivity = -(weights / np.maximum(self._num, 1)) @ self._known
        if not np.allclose(self._range @ sensitivity, sensitivity, atol=1e-9):
            return Estimate(num=num)
        variance = float((weights[used] ** 2 / self._num[used]).sum())
        variance += float(sensitivity @ self._inverse @ sensitivity)
        error = self.sd * math.sqrt(max(variance, 0.0))
        return student(float(weights @ self.effects), error, self.degrees, confidence, num)
