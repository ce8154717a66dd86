"""What each task is worth: Shapley values over the sets of tasks.

Symbols: v(S) is the mean score over the orders of a set of tasks S, v(empty) that of no
intermediate task. With n tasks and sets of up to L of them,

    phi[i] = mean over k = 0 .. L - 1 of the mean over sets S of k other tasks of v(S + i) - v(S)

For L = n this is the Shapley value, and the values add up to v(all) - v(empty). For L < n it is the
same average cut off at the longest sequence; it shares symmetry and linearity with the Shapley
value, but the values do not add up to anything.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import optimize

from analysis.columns import tidy
from analysis.contrasts import SeedModel
from analysis.intervals import Estimate, adjust_holm, student
from analysis.observations import Source, by_target, observations, stages_of
from spaces.errors import InputError
from spaces.sequences import TASK_SEPARATOR
from spaces.tables import Column

Method = Literal["auto", "exact", "pairwise", "additive"]

IMPORTANCE = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("task", "string", "", "The intermediate task."),
    Column("importance", "float64", "points", "phi: what adding it gains on average."),
    Column("importance_low", "float64", "points", "Lower end of its interval; NaN if unknown."),
    Column("importance_high", "float64", "points", "Upper end."),
    Column("p", "float64", "", "Two-sided p-value of no importance, alone."),
    Column("p_holm", "float64", "", "The same, adjusted (Holm) for all tasks of the target."),
    Column("method", "string", "", "exact, pairwise or additive."),
    Column("max_size", "int64", "", "L: the largest set that counts."),
    Column("num_sets", "int64", "", "Sets that were seen."),
    Column("num_sequences", "int64", "", "Sequences that were seen."),
)

_Set = frozenset[str]


def task_importance(
    source: Source,
    target: str | None = None,
    *,
    method: Method = "auto",
    max_size: int | None = None,
    confidence: float = 0.95,
    average: bool | None = None,
) -> pd.DataFrame:
    """Estimate the Shapley value of each intermediate task.

    ``exact`` puts the scores of all sets into the formula; the interval is that of the noise
    between seeds, so it needs repeats. The others fit v(S) by least squares on the sets that were
    seen and put the fit into the formula: ``pairwise`` with a term for each task and each two of
    them (no more than two interact), ``additive`` with the former alone. Their interval counts as
    noise whatever the fit leaves: orders, seeds, higher interactions; sets seen in more orders
    weigh more. They take the sets for a sample that says nothing of the scores, which a search's
    are not: it returns to what did well.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``. ``observations(run,
            rung=0)`` has every sequence that a search tried, at a lower budget.
        target: Only this target; all of them when ``None``.
        method: ``auto`` is ``exact`` where every set was seen, else ``pairwise`` where there are
            more sets than terms, else ``additive``.
        max_size: L; the longest sequence that was seen when ``None``.
        confidence: Coverage of the intervals.
        average: As in ``leaderboard``.

    Returns:
        The columns of ``IMPORTANCE``, one row per target and task, the most important first. A
        value that the sets seen do not determine is NaN. Sequences with mixtures are left out.

    Raises:
        UnknownNameError: Nothing has that target.
        InputError: ``exact`` where a set is missing; a ``max_size`` below 1.

    Source: Shapley 1953, Contributions to the Theory of Games II; Dubey, Neyman and Weber 1981,
    Mathematics of Operations Research 6(1), for values that weigh sizes otherwise.
    """
    rows: list[dict[str, Any]] = []
    for names, part in by_target(observations(source, target, average=average)):
        scores = part[~part["sequence"].str.contains(TASK_SEPARATOR, regex=False)]
        longest = int(scores["num_stages"].max()) if len(scores) else 0
        size = longest if max_size is None else max_size
        if max_size is not None and max_size < 1:
            raise InputError(f"max_size {max_size}: is below 1, so no task could be added")
        size = min(size, longest)
        scores = scores[scores["num_stages"] <= size]
        if size >= 1:
            rows += [{**names, **row} for row in _importance(scores, method, size, confidence)]
    return tidy(rows, IMPORTANCE)


def _importance(
    scores: pd.DataFrame, method: Method, size: int, confidence: float
) -> list[dict[str, Any]]:
    orders: dict[_Set, list[str]] = defaultdict(list)
    for name in sorted(set(scores["sequence"])):
        orders[frozenset(stages_of(name))].append(name)
    tasks = sorted({task for members in orders for task in members})
    wanted = [frozenset(s) for k in range(size + 1) for s in combinations(tasks, k)]
    missing = [members for members in wanted if members not in orders]
    if method == "exact" and missing:
        raise InputError(
            f"method 'exact': {len(missing)} of {len(wanted)} sets of up to {size} tasks have no "
            f"score, {' + '.join(sorted(missing[0])) or 'no intermediate task'} for one. Use "
            "method 'pairwise', or a smaller max_size."
        )
    model = SeedModel(scores)
    chosen: str = method if method != "auto" else "pairwise" if missing else "exact"
    if chosen == "exact":
        found = {
            task: model.contrast(_weights(task, tasks, orders, size), confidence) for task in tasks
        }
    else:
        found, chosen = _fitted(model, orders, tasks, size, chosen, method == "auto", confidence)
    adjusted = adjust_holm([found[task].p for task in tasks])
    rows = [
        {
            "task": task,
            **found[task].as_columns("importance"),
            "p": found[task].p,
            "p_holm": p_holm,
            "method": chosen,
            "max_size": size,
            "num_sets": len(orders),
            "num_sequences": len(model.sequences),
        }
        for task, p_holm in zip(tasks, adjusted, strict=True)
    ]
    return sorted(rows, key=lambda row: (-_last_if_nan(row["importance"]), row["task"]))


def _last_if_nan(value: Any) -> float:
    return -math.inf if math.isnan(value) else float(value)


def _weights(
    task: str, tasks: Sequence[str], orders: dict[_Set, list[str]], size: int
) -> dict[str, float]:
    """Return the weight of every sequence's score in the exact value of a task."""
    others = [other for other in tasks if other != task]
    weights: dict[str, float] = defaultdict(float)
    sizes = range(min(size, len(tasks)))
    for k in sizes:
        share = 1 / (len(sizes) * math.comb(len(others), k))
        for chosen in combinations(others, k):
            for members, sign in ((frozenset((*chosen, task)), 1), (frozenset(chosen), -1)):
                for name in orders[members]:
                    weights[name] += sign * share / len(orders[members])
    return weights


def _fitted(
    model: SeedModel,
    orders: dict[_Set, list[str]],
    tasks: Sequence[str],
    size: int,
    kind: str,
    may_simplify: bool,
    confidence: float,
) -> tuple[dict[str, Estimate], str]:
    """Return the values of a fit to the sets that were seen, and which fit it was."""
    effect = dict(zip(model.sequences, model.effects, strict=True))
    sets = list(orders)
    scores = [np.array([effect[name] for name in orders[members]]) for members in sets]
    values = np.array([found.mean() for found in scores])
    pairs = list(combinations(tasks, 2)) if kind == "pairwise" else []
    terms: list[_Set] = [frozenset(), *(frozenset([t]) for t in tasks), *map(frozenset, pairs)]
    design = np.array([[float(term <= members) for term in terms] for members in sets])
    degrees = len(sets) - int(np.linalg.matrix_rank(design))
    if kind == "pairwise" and may_simplify and degrees < 1:
        return _fitted(model, orders, tasks, size, "additive", False, confidence)

    precision = _precision(design, values, scores, degrees)
    root = np.sqrt(precision)
    inverse = np.linalg.pinv(design * root[:, None]) * root
    solution = inverse @ values
    squares = float((precision * (values - design @ solution) ** 2).sum())
    sd = math.sqrt(squares / degrees) if degrees > 0 else math.nan
    # Of a pair, a set of k others holds the other task with probability k / (n - 1).
    share = (min(size, len(tasks)) - 1) / (2 * max(len(tasks) - 1, 1))
    found = {}
    for task in tasks:
        weights = np.array([(1.0 if len(term) == 1 else share) * (task in term) for term in terms])
        by_set = weights @ inverse
        is_determined = np.allclose(by_set @ design, weights, atol=1e-8)
        error = sd * float(np.linalg.norm(by_set / root))
        mean = float(weights @ solution) if is_determined else math.nan
        found[task] = student(mean, error, degrees, confidence, len(sets))
    return found, kind


def _precision(design: Any, values: Any, scores: Sequence[Any], degrees: int) -> Any:
    """Return the weight of each set: the inverse of its mean's variance, up to a factor.

    That is tau^2 + sigma^2 / m: sigma is the deviation between the m orders of a set, tau what the
    terms leave of the sets themselves, found where the weighted residuals are as large as they
    should be (Paule and Mandel 1982, Journal of Research of the NBS 87(5)).
    """
    num = np.array([len(found) for found in scores], dtype=float)
    freedom = float((num - 1).sum())
    within = float(sum(((found - found.mean()) ** 2).sum() for found in scores))
    if freedom == 0 or within == 0 or degrees < 1:
        return np.ones(len(scores)) if freedom == 0 else num
    noise = within / freedom / num

    def excess(tau_squared: float) -> float:
        precision = 1 / (tau_squared + noise)
        root = np.sqrt(precision)
        solution = np.linalg.pinv(design * root[:, None]) @ (root * values)
        return float((precision * (values - design @ solution) ** 2).sum()) - degrees

    if excess(0.0) <= 0:
        return 1 / noise
    top = float(values.var()) + float(noise.max())
    while excess(top) > 0:
        top *= 4
    return 1 / (float(optimize.brentq(excess, 0.0, top)) + noise)
