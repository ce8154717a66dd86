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
from scipy import special, stats

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
        p: Two-sided p-value of a mean of 0; NaN where there is no interval.
    """

    mean: float = _NAN
    low: float = _NAN
    high: float = _NAN
    num: int = 0
    p: float = _NAN

    @property
    def verdict(self) -> str:
        """What the interval decides: ``better`` (it lies above 0), ``worse`` or ``not decided``.

        >>> Estimate(2.0, 0.5, 3.5).verdict, Estimate(2.0).verdict
        ('better', 'not decided')
        """
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not decided"

    def as_columns(self, name: str) -> dict[str, float]:
        """Return the mean as a column of a frame, with those of its interval's ends.

        >>> Estimate(1.0, 0.5, 1.5).as_columns("gain")
        {'gain': 1.0, 'gain_low': 0.5, 'gain_high': 1.5}
        """
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


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
    return student(mean, noise.sd / math.sqrt(num), noise.degrees, confidence, num)


def student(mean: float, error: float, degrees: float, confidence: float, num: int = 0) -> Estimate:
    """Return the Student t interval and p-value of an estimate.

    Args:
        mean: The estimate.
        error: Its standard error; not known if NaN.
        degrees: Degrees of freedom of the standard error; without any there is no interval.
        confidence: Coverage of the interval.
        num: Noted in the result.
    """
    if math.isnan(mean) or math.isnan(error) or not degrees > 0:
        return Estimate(mean=mean, num=num)
    # The functions behind scipy.stats.t, without its overhead: there are many rows.
    half = float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    p = 2 * float(special.stdtr(degrees, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Estimate(mean, mean - half, mean + half, num, p)


def estimate_crossed(values: Any, confidence: float, noise: Noise | None = None) -> Estimate:
    """Estimate the mean of a table whose rows and columns are both samples.

    Languages of a group and seeds, for instance: value[l, j] = mu + l + s[j] + e[l, j]. The
    variance of the mean is ``(MS_rows + MS_columns - MS_rest) / n``, and what rows add to it is
    never taken to be negative; degrees of freedom are Satterthwaite's.

    Args:
        values: `rows x columns`, no NaN.
        confidence: Coverage of the interval.
        noise: Noise of a column's mean, pooled with others; otherwise that of these columns.

    Returns:
        The estimate; ``num`` is the number of rows. One column has no interval, pooled or not: what
        a seed does to all rows alike cannot be seen. One row has Student's over its columns.

    Source: Satterthwaite 1946, Biometrics Bulletin 2(6).
    """
    table = np.asarray(values, dtype=float)
    num_rows, num_columns = table.shape
    if table.size == 0:
        return Estimate()
    if num_columns < 2:
        return Estimate(mean=float(table.mean()), num=num_rows)
    mean = float(table.mean())
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    if noise is None or noise.degrees == 0:
        noise = Noise(float(columns.std(ddof=1)), num_columns - 1)
    parts = [(noise.sd**2 / num_columns, noise.degrees)]
    if num_rows > 1:
        rest = table - rows[:, None] - columns[None, :] + mean
        freedom = (num_rows - 1, (num_rows - 1) * (num_columns - 1))
        ms_rows = num_columns * float(((rows - mean) ** 2).sum()) / freedom[0]
        ms_rest = float((rest**2).sum()) / freedom[1]
        if ms_rows > ms_rest:
            parts.append((ms_rows / table.size, freedom[0]))
            parts.append((-ms_rest / table.size, freedom[1]))
    total = sum(part for part, _ in parts)
    spread = sum(part**2 / degrees for part, degrees in parts)
    degrees = total**2 / spread if spread else noise.degrees
    # Never fewer than the part that has fewest: a difference that happens to be near 0 would have
    # next to none, and an interval of millions of points.
    degrees = max(degrees, min(freedom for part, freedom in parts if part >= 0))
    return student(mean, math.sqrt(total), degrees, confidence, num_rows)


def estimate_spearman(first: Any, second: Any, confidence: float) -> Estimate:
    """Estimate a rank correlation, ties with mean ranks.

    The interval is ``tanh(atanh(r) +- z sqrt((1 + r^2 / 2) / (n - 3)))``, from four pairs on; the
    p-value that of a t with n - 2 degrees of freedom.

    Args:
        first: A value of each pair; no NaN.
        second: The other value of each pair; no NaN.
        confidence: Coverage of the interval.

    Returns:
        The estimate; NaN where all values of one are the same.

    Source: Bonett and Wright 2000, Psychometrika 65(1).
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    num = len(x)
    if num < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(num=num)
    found = stats.spearmanr(x, y)
    r = float(found.statistic)
    if num < 4:
        return Estimate(mean=r, num=num)
    centre = math.atanh(max(min(r, 1 - 1e-12), 1e-12 - 1))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt((1 + r**2 / 2) / (num - 3))
    return Estimate(r, math.tanh(centre - half), math.tanh(centre + half), num, float(found.pvalue))


def adjust_holm(p_values: Any) -> list[float]:
    """Adjust p-values so that all of them hold together, whatever their dependence.

    Args:
        p_values: NaN are left as they are and do not count.

    Returns:
        Adjusted p-values in the same order.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).

    >>> adjust_holm([0.01, 0.04, float("nan"), 0.03])
    [0.03, 0.06, nan, 0.06]
    """
    values = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    adjusted = np.full(len(values), np.nan)
    highest = 0.0
    for rank, index in enumerate(known[np.argsort(values[known], kind="stable")]):
        highest = max(highest, min(1.0, (len(known) - rank) * float(values[index])))
        adjusted[index] = highest
    return [float(value) for value in adjusted]


def _indicators(codes: Any) -> Any:
    return np.eye(int(codes.max()) + 1)[codes]
