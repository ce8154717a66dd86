"""Effects of a factor within matched contexts, with intervals over contexts.

Symbols: y[b, k] = gamma[b] + beta[k] + e[b, k], where a block b is a context (what is alike about
sequences that differ in the factor) under one seed, and k a level of the factor. Every context has
a level of its own (gamma), so only comparisons within contexts count.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.intervals import Estimate, student

#: Context, seed, level (from 0) and score.
Cell = tuple[Any, Any, int, float]


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


def matched_effects(cells: Iterable[Cell], num_levels: int, confidence: float) -> Matched:
    """Estimate the effect of each level of a factor, matched on the context.

    Least squares with a constant for every block, so levels that were not seen in all contexts do
    no harm if effects are the same in all of them. The interval is Student's t with the
    delete-one-context jackknife: it holds for contexts like those seen, and covers what differs
    between contexts and the noise of the seeds alike. With a single context it is over its seeds.

    Args:
        cells: Context, seed, level (from 0) and score; several scores of one cell are averaged.
        num_levels: How many levels there are.
        confidence: Coverage of the intervals.

    Returns:
        The effects: NaN where contexts do not join all levels, without interval where there is one
        context under one seed.

    Source: Efron and Stein 1981, Annals of Statistics 9(3), for the jackknife's variance.
    """
    contexts, seeds, values = _table(cells, num_levels)
    num_contexts, num_seeds = len(set(contexts)), len(set(seeds))
    unknown = Matched((Estimate(),) * num_levels, num_contexts, num_seeds)
    if not contexts:
        return unknown
    owners = contexts if num_contexts > 1 else seeds
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
    parts = _normal_equations(values, np.array([numbers[owner] for owner in owners]))
    solution = _solve(parts[0].sum(axis=0), parts[1].sum(axis=0))
    if solution is None:
        return unknown
    num_clusters = len(numbers)
    errors = _jackknife(*parts) if num_clusters > 1 else np.full(num_levels, np.nan)
    effects = tuple(
        student(float(effect), float(error), num_clusters - 1, confidence, num_contexts)
        for effect, error in zip(solution, errors, strict=True)
    )
    return Matched(effects, num_contexts, num_seeds)


def matched_difference(cells: Iterable[Cell], confidence: float) -> tuple[Estimate, Matched]:
    """Estimate the difference between two levels, level 1 less level 0.

    Returns:
        The difference, and the effects of both levels (half of it each way).
    """
    found = matched_effects(cells, 2, confidence)
    half = found.effects[1]
    return Estimate(2 * half.mean, 2 * half.low, 2 * half.high, half.num, half.p), found


def _table(cells: Iterable[Cell], num_levels: int) -> tuple[list[Any], list[Any], Any]:
    """Return context, seed and scores by level of every block in which two levels were seen."""
    sums: dict[tuple[Any, Any], Any] = defaultdict(lambda: np.zeros((2, num_levels)))
    for context, seed, level, score in cells:
        cell = sums[context, seed]
        cell[0, level] += score
        cell[1, level] += 1
    blocks = [block for block in sorted(sums) if (sums[block][1] > 0).sum() >= 2]
    stacked = np.array([sums[block] for block in blocks]).reshape(len(blocks), 2, num_levels)
    counts = np.where(stacked[:, 1] > 0, stacked[:, 1], np.nan)
    return [block[0] for block in blocks], [block[1] for block in blocks], stacked[:, 0] / counts


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
