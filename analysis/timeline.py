"""What ran when: the segments of the trials, and how busy the slots were.

The tables say when a trial reported at each rung, how many steps and how much time it took in all,
but not how its time was spread over its parts. It is shared out by steps, so starts of segments are
estimates; ends (the reports) are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run, Runs
from spaces.tables import Column

SEGMENTS = (
    Column("trial_id", "int64", "", "The trial."),
    Column("target", "string", "", "Name of the target task."),
    Column("sequence", "string", "", "Stage names joined by '>'; empty for no stage."),
    Column("phase", "string", "", "baseline, search or confirm."),
    Column("rung", "int64", "", "Rung that the segment ends with; -1 if the trial ended without."),
    Column("started_at", "timestamp", "UTC", "When it began: an estimate."),
    Column("ended_at", "timestamp", "UTC", "When it was reported."),
    Column("steps", "int64", "steps", "Optimiser steps trained: stages too, in the first segment."),
    Column("wall_s", "float64", "seconds", "Its part of the trial's time: an estimate."),
)
UTILISATION = (
    Column("started_at", "timestamp", "UTC", "Begin of the interval of time."),
    Column("ended_at", "timestamp", "UTC", "End of it."),
    Column("busy", "float64", "trials", "Trials at work, on average: an estimate."),
    Column("slots", "int64", "trials", "Trials that could be at work at a time."),
    Column("share", "float64", "", "The former over the latter."),
)


def timeline(source: Run | Runs) -> pd.DataFrame:
    """Return what ran when: one segment per report of a trial.

    A trial's steps are those between the budgets of its rungs; what it trained beyond (stages)
    counts before the first. Its time is shared out by steps, or by ``wall_s`` of ``rungs`` where a
    run has that; no segment begins before the trial's start or its report before.

    Args:
        source: A run, or several.

    Returns:
        The columns of ``SEGMENTS``, by end. These are records, so there are no intervals.
    """
    parts = [_segments(run).assign(**names) for names, run in each_run(source)]
    joined = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    order = ["ended_at", *(["run"] if "run" in joined else []), "trial_id", "rung"]
    return tidy(joined.sort_values(order) if len(joined) else joined, SEGMENTS)


def utilisation(source: Run | Runs, *, num_bins: int = 60) -> pd.DataFrame:
    """Return how many trials were at work over time.

    Args:
        source: A run, or several.
        num_bins: Into how many equal parts a run's time is divided.

    Returns:
        The columns of ``UTILISATION``. ``slots`` is the study's ``search.max_concurrent``, or,
        where that is ``auto``, the most trials that were at work at once. ``busy`` is an estimate,
        as the segments of ``timeline`` are; an interrupted run's pauses count as idle.
    """
    rows: list[dict[str, Any]] = []
    for names, run in each_run(source):
        segments = timeline(run)
        if segments.empty:
            continue
        starts = _seconds(segments["started_at"])
        ends = _seconds(segments["ended_at"])
        begin, end = float(starts.min()), float(ends.max())
        if end <= begin:
            continue
        edges = np.linspace(begin, end, num_bins + 1)
        busy = _busy_until(edges, starts, ends)
        slots = _slots(run, starts, ends)
        width = (end - begin) / num_bins
        rows += [
            {
                **names,
                "started_at": pd.Timestamp(low, unit="s", tz="UTC"),
                "ended_at": pd.Timestamp(high, unit="s", tz="UTC"),
                "busy": amount / width,
                "slots": slots,
                "share": amount / width / slots,
            }
            for low, high, amount in zip(edges[:-1], edges[1:], np.diff(busy), strict=True)
        ]
    return tidy(rows, UTILISATION)


def each_run(source: Run | Runs) -> Iterator[tuple[dict[str, Any], Run]]:
    """Yield every run, with the column that names it where there are several."""
    if isinstance(source, Run):
        yield {}, source
    else:
        for name, run in source.runs.items():
            yield {"run": name}, run


def _segments(run: Run) -> pd.DataFrame:
    about = ["trial_id", "target", "sequence", "phase", "steps_trained", "wall_s", "started_at"]
    trials = run.trials[about].rename(columns={"wall_s": "trial_s", "started_at": "began_at"})
    reports = run.rungs.drop(columns="target").dropna(subset="reported_at")
    # What ended without a report (it failed) is one segment.
    silent = run.trials[~run.trials["trial_id"].isin(reports["trial_id"])]
    silent = silent.dropna(subset="finished_at")
    ends = silent[["trial_id", "finished_at", "wall_s"]].rename(
        columns={"finished_at": "reported_at"}
    )
    reports = pd.concat([reports, ends.assign(rung=-1, budget_steps=0)], ignore_index=True)
    joined = reports.merge(trials, on="trial_id").sort_values(["trial_id", "rung"])
    joined = joined.reset_index(drop=True)
    if joined.empty:
        return tidy((), SEGMENTS)
    trial = pd.factorize(joined["trial_id"])[0]
    joined["steps"] = _steps(joined, trial)
    joined["wall_s"] = _times(joined, trial)
    joined["started_at"] = joined["reported_at"] - pd.to_timedelta(
        joined["wall_s"].round(6), unit="s"
    ).astype("timedelta64[us]")
    return joined.rename(columns={"reported_at": "ended_at"})


def _steps(reports: pd.DataFrame, trial: Any) -> Any:
    """Share the trials' steps out over their reports; they add up to a trial's total.

    Where a trial trained fewer steps than its last budget, its fine-tuning was taken from the
    store, and the last steps are those it trained.
    """
    budgets = reports["budget_steps"].to_numpy()
    is_first, is_last = np.diff(trial, prepend=-1) > 0, np.diff(trial, append=-1) != 0
    spare = reports["steps_trained"].to_numpy() - budgets[is_last][trial]
    reached = np.maximum(budgets + np.minimum(spare, 0), 0)
    before = np.where(is_first, 0, np.roll(reached, 1))
    return reached - before + np.where(is_first, np.maximum(spare, 0), 0)


def _times(reports: pd.DataFrame, trial: Any) -> Any:
    """Share the trials' time out over their reports: by steps, none longer than it can have been.

    What one cannot have taken is shared out over the others of its trial.
    """
    is_first = np.diff(trial, prepend=-1) > 0
    before = reports["reported_at"].shift().where(~is_first, reports["began_at"])
    room = (reports["reported_at"] - before).dt.total_seconds().clip(lower=0.0)
    most = room.fillna(math.inf).to_numpy()
    given = reports.get("wall_s")
    if given is not None and given.notna().all():
        return np.minimum(given.to_numpy(dtype=float), most)
    left = np.nan_to_num(reports["trial_s"].to_numpy(dtype=float)[is_first])
    weights = reports["steps"].to_numpy(dtype=float)
    weights = np.where(np.bincount(trial, weights)[trial] > 0, weights, 1.0)
    times, is_open = np.zeros(len(trial)), np.ones(len(trial), dtype=bool)
    while is_open.any():
        totals = np.bincount(trial, weights * is_open)[trial]
        shares = np.where(totals > 0, left[trial] * weights / np.where(totals > 0, totals, 1), 0.0)
        is_full = is_open & (shares >= most)
        # A trial with no such segment is settled as a whole.
        settled = is_full | (is_open & ~(np.bincount(trial, is_full) > 0)[trial])
        times = np.where(settled, np.minimum(shares, most), times)
        left = left - np.bincount(trial, np.where(is_full, times, 0.0))
        is_open &= ~settled
    return times


def _seconds(times: pd.Series[Any]) -> Any:
    return times.dt.as_unit("us").astype("int64").to_numpy() / 1e6


def _busy_until(edges: Any, starts: Any, ends: Any) -> Any:
    """Return the trial seconds spent up to each point in time."""
    return np.array(
        [np.minimum(np.maximum(edge - starts, 0.0), ends - starts).sum() for edge in edges]
    )


def _slots(run: Run, starts: Any, ends: Any) -> int:
    asked = (run.study.get("search") or {}).get("max_concurrent")
    if isinstance(asked, int):
        return asked
    # Ends go before starts of the same moment: a slot is free by then.
    times = np.concatenate([starts, ends])
    changes = np.repeat([1, -1], len(starts))
    return max(1, int(np.cumsum(changes[np.lexsort((changes, times))]).max()))
