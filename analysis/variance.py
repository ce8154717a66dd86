"""How much of the variation of scores is due to the set of stages, their order, and the seed.

Symbols: y[S, o, j] = mu + a[S] + b[o(S)] + c[j] + e[S, o, j], where S is a set of stages, o one of
its orders, j a seed; a, b, c, e are random with variances that are estimated from sums of squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.columns import tidy
from analysis.observations import Source, by_target, observations, stages_of
from spaces.tables import Column

VARIANCE = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column(
        "component", "string", "", "set, order, seed, residual; without repeats order+residual."
    ),
    Column("variance", "float64", "points^2", "Estimate without bias; below 0 by chance if small."),
    Column("sd", "float64", "points", "Its square root; 0 where the estimate is below 0."),
    Column("share", "float64", "", "Part of the sum of the components, each at least 0."),
    Column("share_low", "float64", "", "Lower end of the share's interval; NaN if unknown."),
    Column("share_high", "float64", "", "Upper end."),
    Column("p", "float64", "", "Of an F test that the component is 0; NaN for the residual."),
    Column("num_levels", "int64", "", "Sets, orders, seeds or scores."),
    Column("degrees", "float64", "", "Degrees of freedom of its sum of squares."),
)

NUM_DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class _Analysis:
    """Sequential sums of squares, and what each is expected to be.

    Attributes:
        names: Components, in the order in which they were taken out.
        squares: Sum of squares of each.
        degrees: Degrees of freedom of each.
        expected: `squares x components`; row k gives the expected sum of squares k as a sum over
            components of coefficient times variance. Upper triangular.
        levels: Number of levels of each.
    """

    names: tuple[str, ...]
    squares: Any
    degrees: Any
    expected: Any
    levels: tuple[int, ...]


def variance_components(
    source: Source,
    target: str | None = None,
    *,
    confidence: float = 0.95,
    average: bool | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Decompose the variance of scores into set, order within set, seed, and the rest.

    Sequences of the same stages are a set. ``seed`` is what a seed does to all sequences alike,
    ``residual`` what is left between seeds. The empty sequence is left out: it is no choice among
    sets. Sums of squares are taken out one after the other (set, order, seed) and solved for the
    variances, so that small samples and unequal numbers do no bias. Intervals are fiducial: each
    sum of squares over a chi-square draw is an expected one, which is solved likewise.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``. Of a search, sequences
            are those that did well early: the shares are of that selection. ``observations(run,
            rung=0)`` has every sequence that was tried, at a lower budget.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of the intervals.
        average: As in ``leaderboard``.
        seed: Of the draws.

    Returns:
        The columns of ``VARIANCE``, one row per target and component. With one seed, order and
        residual cannot be told apart and are one component; no rows with fewer than two sets.

    Raises:
        UnknownNameError: Nothing has that target.

    Source: Searle, Casella and McCulloch 1992, Variance Components, chapters 4 and 5 (Henderson's
    method III, estimates without bias for unequal numbers); Weerahandi 1993, JASA 88(423), for the
    intervals. Deviation: with unequal numbers a sum of squares is only nearly a chi-square.
    """
    rows: list[dict[str, Any]] = []
    for names, part in by_target(observations(source, target, average=average)):
        scores = part[part["num_stages"] > 0]
        found = _analyse(scores)
        if found is not None:
            rows += [{**names, **row} for row in _components(found, confidence, seed)]
    return tidy(rows, VARIANCE)


def _analyse(scores: pd.DataFrame) -> _Analysis | None:
    values = scores["score"].to_numpy(dtype=float)
    sets = pd.factorize(scores["sequence"].map(lambda name: tuple(sorted(stages_of(name)))))[0]
    orders = pd.factorize(scores["sequence"])[0]
    seeds = pd.factorize(scores["seed"])[0]
    num = len(values)
    if num == 0 or sets.max() < 1:
        return None
    levels = tuple(int(codes.max()) + 1 for codes in (sets, orders, seeds))
    by_set, by_order = _fitted(values, sets), _fitted(values, orders)
    total = values.mean()

    # What is left of the seeds once every sequence has a mean of its own: few columns.
    dummies = np.eye(levels[2])[seeds]
    within = dummies - np.stack([_fitted(column, orders) for column in dummies.T], axis=1)
    basis, sizes, _ = np.linalg.svd(within, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(1.0, float(sizes[0]))]
    rest = values - by_order
    explained = basis @ (basis.T @ rest)

    squares = [
        ((by_set - total) ** 2).sum(),
        ((by_order - by_set) ** 2).sum(),
        (explained**2).sum(),
        ((rest - explained) ** 2).sum(),
    ]
    degrees = [levels[0] - 1, levels[1] - levels[0], basis.shape[1]]
    degrees.append(num - 1 - sum(degrees))

    # Traces of each projection times each component's incidence: how much of it lands there.
    whole = np.zeros(num, dtype=int)
    kept = {  # kept[a][b]: trace of (projection on a) times (incidence of b)
        name: [_trace(owner, codes) for codes in (sets, orders, seeds)]
        for name, owner in (("mean", whole), ("set", sets), ("order", orders))
    }
    expected = np.zeros((4, 4))
    expected[0, :3] = np.subtract(kept["set"], kept["mean"])
    expected[1, 1:3] = np.subtract(kept["order"], kept["set"])[1:]
    expected[2, 2] = num - kept["order"][2]
    expected[:, 3] = degrees
    found = _Analysis(
        ("set", "order", "seed", "residual"),
        np.array(squares),
        np.array(degrees, dtype=float),
        expected,
        (*levels, num),
    )
    return _without_repeats(found) if degrees[2] + degrees[3] == 0 else found


def _without_repeats(found: _Analysis) -> _Analysis:
    """Merge order and residual where no sequence was seen twice, and drop the seed."""
    expected = np.array([[found.expected[0, 0], found.expected[0, 1]], [0.0, found.expected[1, 1]]])
    names = ("set", "order+residual")
    return _Analysis(names, found.squares[:2], found.degrees[:2], expected, found.levels[:2])


def _fitted(values: Any, codes: Any) -> Any:
    """Return the mean of each value's group."""
    return (np.bincount(codes, values) / np.bincount(codes))[codes]


def _trace(owners: Any, codes: Any) -> float:
    """Return the trace of (projection on the groups ``owners``) times (incidence of ``codes``)."""
    pairs, counts = np.unique(np.stack([owners, codes]), axis=1, return_counts=True)
    return float((counts**2 / np.bincount(owners)[pairs[0]]).sum())


def _components(found: _Analysis, confidence: float, seed: int) -> list[dict[str, Any]]:
    known = found.degrees > 0
    variances = _solved(found.expected, known, found.squares[None, :])[0]
    rng = np.random.default_rng(seed)
    chi = np.stack(
        [rng.chisquare(d, NUM_DRAWS) if d > 0 else np.ones(NUM_DRAWS) for d in found.degrees]
    ).T
    drawn = _solved(found.expected, known, found.squares * found.degrees / chi)
    positive = np.maximum(variances, 0.0)
    shares = positive / (np.nansum(positive) or math.nan)
    # Draws below 0 stay in the total: cut off first, they would raise the others' shares.
    totals = drawn.sum(axis=1, keepdims=True)
    drawn_shares = np.clip(drawn / np.where(totals == 0, math.nan, totals), 0.0, 1.0)
    tail = (1 - confidence) / 2
    enough = known.all() and not np.isnan(drawn_shares).any()
    rows = []
    for k, name in enumerate(found.names):
        low, high = np.quantile(drawn_shares[:, k], [tail, 1 - tail]) if enough else (math.nan,) * 2
        rows.append(
            {
                "component": name,
                "variance": variances[k],
                "sd": math.sqrt(max(variances[k], 0.0)) if known[k] else math.nan,
                "share": shares[k],
                "share_low": low,
                "share_high": high,
                "p": _p_value(found, k),
                "num_levels": found.levels[k],
                "degrees": found.degrees[k],
            }
        )
    return rows


def _solved(expected: Any, known: Any, squares: Any) -> Any:
    """Solve expected sums of squares for variances, from the last up.

    Args:
        expected: As in ``_Analysis``.
        known: Which sums of squares have a degree of freedom; others have an unknown variance,
            which is taken to be 0 in the rest.
        squares: `draws x squares`.
    """
    variances = np.zeros_like(squares, dtype=float)
    for k in reversed(range(squares.shape[1])):
        if known[k]:
            others = variances[:, k + 1 :] @ expected[k, k + 1 :]
            variances[:, k] = (squares[:, k] - others) / expected[k, k]
    variances[:, ~known] = np.nan
    return variances


def _p_value(found: _Analysis, k: int) -> float:
    """Test that a component is 0: its sum of squares over what it would be without it.

    That is a sum over the later sums of squares, with Satterthwaite's degrees of freedom.
    """
    later = [i for i in range(k + 1, len(found.names)) if found.degrees[i] > 0]
    if not later or not found.degrees[k] > 0:
        return math.nan
    weights = np.linalg.solve(found.expected[np.ix_(later, later)].T, found.expected[k, later])
    parts = weights * found.squares[later]
    base = float(parts.sum())
    if not base > 0:
        return math.nan
    degrees = base**2 / float((parts**2 / found.degrees[later]).sum())
    return float(stats.f.sf(found.squares[k] / base, found.degrees[k], degrees))
