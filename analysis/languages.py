"""Scores of one sequence language by language, beside those without intermediate task."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.frames import Run
from analysis.observations import last_rung, observations
from analysis.statistics import leaderboard

_COLUMNS = {
    "target": "str",
    "split": "str",
    "metric": "str",
    "selected_on": "bool",
    "language": "str",
    "num_examples": "int64",
    "num_seeds": "int64",
    "score": "float64",
    "score_none": "float64",
    "gain": "float64",
}

_SET = ["split", "metric", "selected_on", "language"]


def language_scores(run: Run, target: str, sequence: str | None = None) -> pd.DataFrame:
    """Return the scores of a sequence in every language, split and headline metric.

    Args:
        run: The run.
        target: Name of the target.
        sequence: The sequence; the incumbent of the target when ``None``.

    Returns:
        One row per evaluation set: ``target``, ``split``, ``metric``, ``selected_on`` (the search
        chose by this score, so it flatters), ``language``, ``num_examples``, ``num_seeds``,
        ``score`` and ``score_none`` (points; means over the seeds that each has in the
        leaderboard, of the sequence and of the empty one), and ``gain``, their difference. Scores
        of a trial's last rung only. Empty when the target has no complete trial.

    Raises:
        UnknownNameError: No trial has that target.
    """
    if sequence is None:
        ranked = leaderboard(run, target)["sequence"]
        if ranked.empty:
            return pd.DataFrame(columns=list(_COLUMNS)).astype(_COLUMNS)
        sequence = str(ranked.iloc[0])
    found = observations(run, fresh_only=True, average=False)
    seeds = found[found["target"] == target]
    last = last_rung(run.scores[run.scores["headline"]])
    own = _means(last, seeds.loc[seeds["sequence"] == sequence, "trial_id"])
    none = _means(last, seeds.loc[seeds["sequence"] == "", "trial_id"])
    joined = own.merge(none[[*_SET, "score"]], on=_SET, how="left", suffixes=("", "_none"))
    joined["gain"] = joined["score"] - joined["score_none"]
    joined["target"] = target
    return joined[list(_COLUMNS)].astype(_COLUMNS).sort_values(_SET, ignore_index=True)


def _means(scores: pd.DataFrame, trial_ids: pd.Series[Any]) -> pd.DataFrame:
    chosen = scores[scores["trial_id"].isin(trial_ids)]
    return chosen.groupby(_SET, as_index=False).agg(
        num_examples=("num_examples", "max"),
        num_seeds=("trial_id", "nunique"),
        score=("value", "mean"),
    )
