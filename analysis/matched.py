"""Effects of a factor within matched contexts, with intervals over contexts.

Symbols: y[b, k] = gamma[b] + beta[k] + e[b, k], where a block b is a context (what is alike about
sequences that differ in the factor) under one seed, and k a level of the factor. Every context has
a level of its own (gamma), so only comparisons within contexts count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.intervals import Estimate, student


@dataclass(frozen=True, slots=True)
class Matched:
    """Effects of the levels of a factor.

    Attributes:
        effects: Of each level, relative to the plain mean of the levels.
        num_contexts: Contexts in which two levels or more were seen.
        num_seeds: Seeds that they were seen under.
    """

    effects: tuple[Estimate, ...]
    num_contexts: int
    num_seeds: int


def matched_effects(rows: pd.DataFrame, levels: Sequence[Any], confidence: float) -> Matched:
    """Estimate the effect of each level of a factor, matched on the context.

    Least squares with a constant for every block, so levels that were not seen in all contexts do
    no harm if effects are the same in all of them. The interval is Student's t with the
    delete-one-context jackknife: it holds for contexts like those seen, and covers what differs
    between contexts and the noise of the seeds alike. With a single context it is over its seeds.

    Args:
        rows: ``context``, ``seed``, ``level``, ``score``; several scores of one cell are averaged.
        levels: The levels, in the order of the result.
        confidence: Coverage of the intervals.

    Returns:
        The effects: NaN where contexts do not join all levels, without interval where there is one
        context under one seed.

    Source: Efron and Stein 1981, Annals of Statistics 9(3), for the jackknife's variance.
    """
    cells = rows.groupby(["context", "seed", "level"], sort=True)["score"].mean().unstack("level")
    table = cells.reindex(columns=list(levels))
    table = table[table.notna().sum(axis=1) >= 2]
    contexts = table.index.get_level_values("context")
    seeds = table.index.get_level_values("seed")
    num_contexts, num_seeds = contexts.nunique(), seeds.nunique()
    unknown = Matched((Estimate(),) * len(levels), num_contexts, num_seeds)
    if table.empty or table.isna().all(axis=0).any():
        return unknown
    clusters = pd.factorize(contexts if num_contexts > 1 else seeds)[0]
    parts = _normal_equations(table.to_numpy(dtype=float), clusters)
    solution = _solve(parts[0].sum(axis=0), parts[1].sum(axis=0))
    if solution is None:
        return unknown
    num_clusters = len(parts[0])
    errors = _jackknife(*parts) if num_clusters > 1 else np.full(len(levels), np.nan)
    effects = tuple(
        student(float(effect), float(error), num_clusters - 1, confidence, num_contexts)
        for effect, error in zip(solution, errors, strict=True)
    )
    return Matched(effects, num_contexts, num_seeds)


def matched_difference(
    rows: pd.DataFrame, levels: tuple[Any, Any], confidence: float
) -> tuple[Estimate, Matched]:
    """Estimate the difference between two levels, the first less the second.

    Returns:
        The difference, and the effects of both levels (half of it each way).
    """
    found = matched_effects(rows, levels, confidence)
    half = found.effects[0]
    doubled = Estimate(2 * half.mean, 2 * half.low, 2 * half.high, half.num, half.p)
    return doubled, found


def _normal_equations(values: Any, clusters: Any) -> tuple[Any, Any]:
    """Return the normal equations of each cluster, block constants removed."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    num = known.sum(axis=1)
    centred = np.where(known, filled - (filled.sum(axis=1) / num)[:, None], 0.0)
    size, levels = int(clusters.max()) + 1, values.shape[1]
    left, right = np.zeros((size, levels, levels)), np.zeros((size, levels))
    weights = known.astype(float)
    np.add.at(
        left,
        clusters,
        weights[:, :, None] * np.eye(levels)
        - weights[:, :, None] * weights[:, None, :] / num[:, None, None],
    )
    np.add.at(right, clusters, centred)
    return left, right


def _solve(left: Any, right: Any) -> Any:
    """Return the effects that sum to 0, or ``None`` if some level is not joined to the others."""
    levels = len(right)
    augmented = left + np.ones((levels, levels))
    if np.linalg.matrix_rank(augmented, hermitian=True) < levels:
        return None
    return np.linalg.solve(augmented, right)


def _jackknife(left: Any, right: Any) -> Any:
    """Return the standard errors; NaN if a level stands and falls with one cluster."""
    num = len(left)
    total_left, total_right = left.sum(axis=0), right.sum(axis=0)
    without = [
        _solve(total_left - one, total_right - other)
        for one, other in zip(left, right, strict=True)
    ]
    if any(solution is None for solution in without):
        return np.full(right.shape[1], math.nan)
    return np.sqrt((num - 1) * np.stack(without).var(axis=0))
