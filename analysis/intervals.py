"""Intervals for means over few seeds, with the noise of all sequences pooled.

Symbols: y[i, j] is the score of sequence i under seed j, modelled as

    y[i, j] = mu[i] + s[j] + e[i, j],    var(s) = sigma_s^2,    var(e) = sigma_e^2

so that a seed may be lucky for every sequence alike (s), and a difference between two sequences
under the same seed is free of that luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Noise:
    """A standard deviation and the degrees of freedom it was estimated with.

    Attributes:
        sd: In the unit of the scores; NaN when there is nothing to estimate it from.
        degrees: Degrees of freedom, not necessarily a whole number; 0 when there are none.
    """

    sd: float = _NAN
    degrees: float = 0.0


@dataclass(frozen=True, slots=True)
class PooledNoise:
    """The noise of one target, from every sequence with two seeds or more.

    Attributes:
        score: Noise of a single score, ``sqrt(sigma_s^2 + sigma_e^2)``.
        difference: Noise of a difference under the same seed, ``sqrt(2) sigma_e``.
    """

    score: Noise = Noise()
    difference: Noise = Noise()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: NaN without values.
        low, high: Ends of the interval; NaN with fewer than two values.
        num: Number of values (seeds, or pairs of the same seed).
    """

    mean: float = _NAN
    low: float = _NAN
    high: float = _NAN
    num: int = 0


def pool_noise(scores: pd.DataFrame) -> PooledNoise:
    """Estimate the noise of one target from all its repeated sequences.

    ``score`` pools the variance within sequences. Where seeds are shared, the residuals of
    different sequences move together, so its degrees of freedom are Satterthwaite's for the two
    parts (between seeds, and the rest) rather than the plain count. ``difference`` comes from the
    residuals of the two-way model (sequence + seed), fitted by least squares so that missing
    cells do no harm.

    Args:
        scores: One row per sequence and seed: ``sequence``, ``seed``, ``score`` (no NaN).

    Returns:
        The two standard deviations; NaN where no sequence has two seeds.

    Source: Satterthwaite 1946, Biometrics Bulletin 2(6), for the degrees of freedom.
    """
    repeats = scores.groupby("sequence")["seed"].transform("size")
    repeated = scores[repeats >= 2]
    if repeated.empty:
        return PooledNoise()
    values = repeated["score"].to_numpy(dtype=float)
    sequences = pd.factorize(repeated["sequence"])[0]
    seeds = pd.factorize(repeated["seed"])[0]
    within = values - repeated.groupby("sequence")["score"].transform("mean").to_numpy(dtype=float)
    degrees_within = len(values) - (int(sequences.max()) + 1)
    squares_within = float(within @ within)

    design = np.hstack([_indicators(sequences), _indicators(seeds)])
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    rest = values - design @ coefficients
    degrees_rest = len(values) - int(rank)
    squares_rest = float(rest @ rest)

    parts = (
        (max(squares_within - squares_rest, 0.0), degrees_within - degrees_rest),
        (squares_rest, degrees_rest),
    )
    spread = sum(squares**2 / degrees for squares, degrees in parts if degrees)
    degrees_score = squares_within**2 / spread if spread else float(degrees_within)
    return PooledNoise(
        score=Noise(math.sqrt(squares_within / degrees_within), degrees_score),
        difference=Noise(math.sqrt(2 * squares_rest / degrees_rest), float(degrees_rest))
        if degrees_rest
        else Noise(),
    )


def estimate_mean(values: Any, confidence: float, noise: Noise | None = None) -> Estimate:
    """Estimate a mean with a Student t interval, ``mean +- t(degrees) * sd / sqrt(n)``.

    Args:
        values: Scores of different seeds, or differences paired by seed; no NaN.
        confidence: Coverage of the interval, for example 0.95.
        noise: Pooled noise; without it ``sd`` is that of the values, with n - 1 degrees.

    Returns:
        The estimate. A single value has no interval, pooled or not: nothing has shown yet that
        it repeats.

    The interval holds for values that scatter normally around their mean; with pooled noise also
    only if sequences scatter alike. It says nothing about other data sets or hyperparameters,
    and it does not account for the best of many having been picked.

    Source: Student 1908, Biometrika 6(1).
    """
    sample = np.asarray(values, dtype=float)
    num = len(sample)
    if num == 0:
        return Estimate()
    mean = float(sample.mean())
    if num == 1:
        return Estimate(mean=mean, num=1)
    if noise is None or noise.degrees == 0:
        noise = Noise(float(sample.std(ddof=1)), num - 1)
    half = float(stats.t.ppf((1 + confidence) / 2, noise.degrees)) * noise.sd / math.sqrt(num)
    return Estimate(mean, mean - half, mean + half, num)


def _indicators(codes: Any) -> Any:
    return np.eye(int(codes.max()) + 1)[codes]
