"""How well task similarity predicts gain: rank correlation, NDCG, regret@k, and baselines.

A similarity is worth something if it picks intermediate tasks for a new target better than chance
and better than taking those that help other targets. Both are baselines here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import ndcg_score

from analysis.columns import tidy
from analysis.intervals import Estimate, adjust_holm, estimate_mean, estimate_spearman
from spaces.errors import InputError, UnknownNameError
from spaces.tables import Column

#: The baselines among the measures.
RANDOM, MEAN_GAIN = "random", "mean gain on other targets"

#: Stands for the mean over targets in the column ``target``.
ALL_TARGETS = "all"

SIMILARITIES = (
    Column("source", "string", "", "Name of the intermediate task."),
    Column("target", "string", "", "Name of the target task."),
    Column("measure", "string", "", "Name of the similarity."),
    Column("value", "float64", "", "How similar; higher is more."),
)
PREDICTIVENESS = (
    Column("measure", "string", "", "Name of the similarity, or of a baseline."),
    Column("target", "string", "", "Name of the target; `all` for the mean over targets."),
    Column("statistic", "string", "", "spearman, ndcg, or regret@k."),
    Column("value", "float64", "", "From -1 to 1, from 0 to 1, or in points."),
    Column("value_low", "float64", "", "Lower end of its interval; NaN if unknown."),
    Column("value_high", "float64", "", "Upper end."),
    Column("num_tasks", "int64", "", "Intermediate tasks that were ranked, summed for `all`."),
    Column("num_targets", "int64", "", "Targets."),
)
ADVANTAGE = (
    Column("measure", "string", "", "Name of the similarity."),
    Column("baseline", "string", "", "What it is compared with."),
    Column("statistic", "string", "", "spearman, ndcg, or regret@k."),
    Column("advantage", "float64", "", "How much better it is; regret counts downwards."),
    Column("advantage_low", "float64", "", "Lower end of its interval over targets."),
    Column("advantage_high", "float64", "", "Upper end."),
    Column("p", "float64", "", "Of no advantage: exact sign-flip test, two-sided."),
    Column("p_holm", "float64", "", "The same, adjusted (Holm) for the measures."),
    Column("num_targets", "int64", "", "Targets in which both are known."),
    Column("verdict", "string", "", "better, worse or not decided."),
)


def similarity_predictiveness(
    similarities: pd.DataFrame,
    gains: pd.DataFrame,
    *,
    ks: Sequence[int] = (1, 3, 5),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Say how well similarities rank intermediate tasks by their gain.

    For a target with gains g over its n tasks, and a measure that ranks them:

    - ``spearman``: rank correlation of similarity and gain, ties with mean ranks;
    - ``ndcg``: discounted gain of the ranking over that of the best one, ``sum g'[i] / log2(1 +
      rank[i])``, with ``g' = g - min g`` so that no task counts negatively;
    - ``regret@k``: the best gain less the best gain among the k highest ranked, in points: what is
      lost by trying k tasks only. 0 is best.

    Ties in a similarity are resolved by the mean over all ways to break them.

    Args:
        similarities: ``source``, ``target``, ``measure``, ``value`` (higher is more similar).
        gains: ``task`` (or ``source``), ``target``, ``gain``: a transfer matrix.
        ks: For which k regret is wanted.
        confidence: Coverage of the intervals.

    Returns:
        The columns of ``PREDICTIVENESS``. Of each measure and of two baselines: ``random``, the
        exact mean over all rankings, and ``mean gain on other targets``, which ranks a task by
        the mean of its gains on the other targets. Tasks without a gain or similarity are left
        out, as are targets with fewer than two tasks. Per target, Spearman's interval is that of
        Bonett and Wright (from four tasks on); the others are what they are for these tasks.
        Over targets (``all``) intervals are Student's t, from two targets on.

    Raises:
        InputError: A column is missing, a pair is there twice, or a k below 1.

    Source: Järvelin and Kekäläinen 2002, ACM TOIS 20(4), for NDCG; Poth et al. 2021,
    arXiv:2104.08247, for both on this question. Deviation: their regret is relative to the best
    score; here it is in points of gain. Bonett and Wright 2000, Psychometrika 65(1).
    """
    if any(k < 1 for k in ks):
        raise InputError(f"ks {list(ks)}: regret@k needs a k of at least 1")
    known = _gains(gains)
    measured = _checked(similarities, [column.name for column in SIMILARITIES], "similarities")
    _unique(measured, ["measure", "target", "source"])
    others = _mean_gain_on_others(known)
    rows: list[dict[str, Any]] = []
    for measure, part in [
        (RANDOM, known.assign(value=0.0)),
        (MEAN_GAIN, others),
        *((str(name), part.merge(known)) for name, part in measured.groupby("measure", sort=True)),
    ]:
        alone = []
        for target, pairs in part.dropna(subset=["value", "gain"]).groupby("target", sort=True):
            if len(pairs) >= 2:
                values, gained = pairs["value"].to_numpy(), pairs["gain"].to_numpy()
                found = _statistics(values, gained, ks)
                correlation = estimate_spearman(values, gained, confidence)
                if measure == RANDOM:
                    correlation = Estimate(mean=0.0)
                found = {"spearman": correlation.mean, **found}
                alone += [
                    {
                        "measure": measure,
                        "target": target,
                        "statistic": name,
                        "value": value,
                        "value_low": correlation.low if name == "spearman" else math.nan,
                        "value_high": correlation.high if name == "spearman" else math.nan,
                        "num_tasks": len(pairs),
                        "num_targets": 1,
                    }
                    for name, value in found.items()
                ]
        rows += [*_over_targets(alone, confidence), *alone]
    return tidy(rows, PREDICTIVENESS)


def similarity_advantage(
    found: pd.DataFrame, baseline: str = MEAN_GAIN, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Say whether measures beat a baseline, target by target.

    Args:
        found: What ``similarity_predictiveness`` returned.
        baseline: ``random``, ``mean gain on other targets``, or any other measure.
        confidence: Coverage of the intervals, Student's t over targets.

    Returns:
        The columns of ``ADVANTAGE``, one row per measure and statistic. A measure that does not
        beat the mean gain on other targets has no value of its own. Two targets at least are
        needed for an interval, and six for a p-value below 0.05.

    Raises:
        UnknownNameError: No such measure.
    """
    measures = list(dict.fromkeys(found["measure"]))
    if baseline not in measures:
        raise UnknownNameError("measure", baseline, measures)
    single = found[found["target"] != ALL_TARGETS]
    table = single.pivot(index="target", columns=["statistic", "measure"], values="value")
    rows: list[dict[str, Any]] = []
    for statistic in dict.fromkeys(found["statistic"]):
        sign = -1 if statistic.startswith("regret") else 1
        family = []
        for measure in measures:
            if measure == baseline:
                continue
            differences = table[statistic][measure] - table[statistic][baseline]
            values = sign * differences.dropna().to_numpy(dtype=float)
            found_mean = estimate_mean(values, confidence)
            family.append(
                {
                    "measure": measure,
                    "baseline": baseline,
                    "statistic": statistic,
                    **found_mean.as_columns("advantage"),
                    "p": _sign_flips(values),
                    "num_targets": found_mean.num,
                    "verdict": found_mean.verdict,
                }
            )
        adjusted = adjust_holm([row["p"] for row in family])
        rows += [{**row, "p_holm": p} for row, p in zip(family, adjusted, strict=True)]
    return tidy(rows, ADVANTAGE)


def expected_best(gains: Any, k: int) -> float:
    """Return the expected largest of k of n values drawn without replacement.

    It is the sum over i of ``g(i) C(i - 1, k - 1) / C(n, k)`` with g(1) <= .. <= g(n).

    >>> expected_best([0.0, 1.0, 2.0], 2)
    1.6666666666666667
    """
    ordered = sorted(float(gain) for gain in gains)
    k = min(k, len(ordered))
    ways = [math.comb(i, k - 1) for i in range(len(ordered))]
    total = math.comb(len(ordered), k)
    return sum(gain * way for gain, way in zip(ordered, ways, strict=True)) / total


def _statistics(values: Any, gains: Any, ks: Sequence[int]) -> dict[str, float]:
    relevance = gains - gains.min()
    return {
        # All gains alike: every ranking is a best one.
        "ndcg": float(ndcg_score([relevance], [values])) if relevance.any() else 1.0,
        **{f"regret@{k}": float(gains.max()) - _best_of_top(values, gains, k) for k in ks},
    }


def _best_of_top(values: Any, gains: Any, k: int) -> float:
    """Return the best gain among the k highest values, the mean over ways to break ties."""
    k = min(k, len(values))
    border = np.sort(values)[-k]
    above = gains[values > border]
    tied, num_drawn = gains[values == border], k - len(above)
    floor = float(above.max()) if len(above) else -math.inf
    return expected_best(np.maximum(tied, floor), num_drawn)


def _over_targets(rows: list[dict[str, Any]], confidence: float) -> list[dict[str, Any]]:
    joined = []
    for statistic in dict.fromkeys(row["statistic"] for row in rows):
        mine = [row for row in rows if row["statistic"] == statistic]
        values = np.array([row["value"] for row in mine], dtype=float)
        known = values[~np.isnan(values)]
        joined.append(
            {
                "measure": mine[0]["measure"],
                "target": ALL_TARGETS,
                "statistic": statistic,
                **estimate_mean(known, confidence).as_columns("value"),
                "num_tasks": sum(row["num_tasks"] for row in mine),
                "num_targets": len(known),
            }
        )
    return joined


def _sign_flips(values: Any) -> float:
    """Test that values are symmetric about 0: all sign flips up to 12 values, else 4,095."""
    num = len(values)
    if num < 2:
        return math.nan
    if num <= 12:
        signs = np.array(list(product((1.0, -1.0), repeat=num)))
    else:
        drawn = np.random.default_rng(0).choice((1.0, -1.0), size=(4095, num))
        signs = np.vstack([np.ones(num), drawn])
    sums = np.abs(signs @ values)
    # Sums that differ by rounding alone are the same.
    return float((sums >= abs(values.sum()) - 1e-9).mean())


def _mean_gain_on_others(gains: pd.DataFrame) -> pd.DataFrame:
    by_source = gains.groupby("source")["gain"]
    others = by_source.transform("size") - 1
    sums = by_source.transform("sum") - gains["gain"]
    return gains.assign(value=(sums / others.where(others > 0)).astype("float64"))


def _gains(gains: pd.DataFrame) -> pd.DataFrame:
    if "source" not in gains and "task" in gains:
        gains = gains.rename(columns={"task": "source"})
    known = _checked(gains, ["source", "target", "gain"], "gains").dropna()
    _unique(known, ["target", "source"])
    return known


def _checked(frame: pd.DataFrame, columns: list[str], name: str) -> pd.DataFrame:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(f"{name}: no column {missing[0]!r}. It needs {', '.join(columns)}.")
    return frame[columns]


def _unique(frame: pd.DataFrame, keys: list[str]) -> None:
    repeated = frame[frame.duplicated(keys)]
    if len(repeated):
        what = ", ".join(f"{key} {repeated[key].iloc[0]!r}" for key in keys)
        raise InputError(f"{what}: there twice. Give one value each.")
