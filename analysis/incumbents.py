"""How the incumbent rose with time and cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.intervals import estimate_mean
from analysis.models import first_model
from analysis.timeline import each_run, timeline
from spaces.tables import Column

INCUMBENTS = (
    Column("target", "string", "", "Name of the target task."),
    Column("at", "timestamp", "UTC", "When it became the incumbent; at last: the end."),
    Column("elapsed_s", "float64", "seconds", "Since the run's first trial started."),
    Column("steps", "int64", "steps", "Optimiser steps that the whole run had trained by then."),
    Column("target_steps", "int64", "steps", "Those of the trials of this target."),
    Column("trial_id", "int64", "", "The incumbent."),
    Column("sequence", "string", "", "Its sequence."),
    Column("score", "float64", "points", "Its score, on the seed that the search uses."),
)
INCUMBENT_BAND = (
    Column("target", "string", "", "Name of the target task."),
    Column("steps", "int64", "steps", "Optimiser steps trained."),
    Column("score", "float64", "points", "Mean over runs of the incumbent's score."),
    Column("score_low", "float64", "points", "Lower end of its interval; NaN below two runs."),
    Column("score_high", "float64", "points", "Upper end."),
    Column("num_runs", "int64", "", "Runs that had an incumbent by then."),
)


def incumbent_curve(source: Run | Runs) -> pd.DataFrame:
    """Return how the incumbent of each target rose with time and cost.

    Trials count once they are complete; those of the confirmation do not. The score is the one the
    search saw: the best of many on one seed, so it flatters.

    Args:
        source: A run, or several.

    Returns:
        The columns of ``INCUMBENTS``, one row per improvement, and one for the end of the search.
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        segments = timeline(run)
        segments = segments[segments["phase"] != "confirm"]
        counted = first_model(run.trials, run.study)["trial_id"]
        segments = segments[segments["trial_id"].isin(counted)]
        segments = segments.assign(
            total=segments["steps"].cumsum(),
            own=segments.groupby("target")["steps"].cumsum(),
            score=segments["trial_id"].map(_final_scores(run.trials)),
        )
        begin = run.trials["started_at"].min()
        for target, part in segments.groupby("target", sort=True):
            rows += [
                {
                    **names,
                    "target": target,
                    "at": row["ended_at"],
                    "elapsed_s": (row["ended_at"] - begin).total_seconds(),
                    "steps": row["total"],
                    "target_steps": row["own"],
                    "trial_id": row["trial_id"],
                    "sequence": row["sequence"],
                    "score": row["score"],
                }
                for row in _improvements(part, segments.iloc[-1])
            ]
    return tidy(rows, INCUMBENTS)


def _final_scores(trials: pd.DataFrame) -> Any:
    complete = trials[(trials["state"] == "complete") & trials["score"].notna()]
    return complete.set_index("trial_id")["score"]


def _improvements(segments: pd.DataFrame, end: Any) -> list[dict[Any, Any]]:
    """Return the segments with which a complete trial was the best so far, and the end."""
    last = segments.drop_duplicates("trial_id", keep="last").dropna(subset="score")
    before = last["score"].cummax().shift(fill_value=-math.inf)
    found = last[last["score"] > before].to_dict("records")
    if found:
        spent = {"total": end["total"], "own": segments["own"].iloc[-1]}
        found.append(found[-1] | spent | {"ended_at": end["ended_at"]})
    return found


def incumbent_band(source: Runs, *, num_points: int = 50, confidence: float = 0.95) -> pd.DataFrame:
    """Average the incumbents of several runs by cost.

    Args:
        source: Runs that differ in nothing but what they cannot help (the seed, the sampler's
            choices): they are a sample.
        num_points: Budgets at which the incumbents are read, from 0 to the cheapest run's total.
        confidence: Coverage of the intervals, Student's t over runs.

    Returns:
        The columns of ``INCUMBENT_BAND``, one row per target and budget at which any run had an
        incumbent.
    """
    curves = incumbent_curve(source)
    rows = []
    for target, part in curves.groupby("target", sort=True):
        by_run = [curve for _, curve in part.groupby("run")]
        top = min(int(curve["steps"].max()) for curve in by_run)
        for steps in np.unique(np.linspace(0, top, num_points).astype(int)):
            found = [
                float(curve.loc[curve["steps"] <= steps, "score"].iloc[-1])
                for curve in by_run
                if (curve["steps"] <= steps).any()
            ]
            if not found:
                continue
            mean = estimate_mean(found, confidence)
            rows.append(
                {
                    "target": target,
                    "steps": steps,
                    **mean.as_columns("score"),
                    "num_runs": mean.num,
                }
            )
    return tidy(rows, INCUMBENT_BAND)
