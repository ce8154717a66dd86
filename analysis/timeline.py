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
    rows = [row for names, run in each_run(source) for row in _segments(run, names)]
    return tidy(rows, SEGMENTS).sort_values("ended_at", kind="stable", ignore_index=True)


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
        segments = tidy(_segments(run, {}), SEGMENTS)
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


def _segments(run: Run, names: dict[str, Any]) -> list[dict[str, Any]]:
    by_trial: dict[Any, Any] = {
        number: part.to_dict("records")
        for number, part in run.rungs.sort_values(["trial_id", "rung"]).groupby("trial_id")
    }
    rows: list[dict[str, Any]] = []
    trials: list[Any] = run.trials.to_dict("records")
    for trial in trials:
        reports = by_trial.get(trial["trial_id"], [])
        if not reports and pd.notna(trial["finished_at"]):
            reports = [{"rung": -1, "budget_steps": 0, "reported_at": trial["finished_at"]}]
        reports = [report for report in reports if pd.notna(report["reported_at"])]
        if not reports:
            continue
        steps = _steps(trial["steps_trained"], [report["budget_steps"] for report in reports])
        seconds = _times(trial, steps, reports)
        about = {name: trial[name] for name in ("trial_id", "target", "sequence", "phase")}
        rows += [
            {
                **names,
                **about,
                "rung": report["rung"],
                "started_at": report["reported_at"] - pd.Timedelta(seconds=wall_s),
                "ended_at": report["reported_at"],
                "steps": num,
                "wall_s": wall_s,
            }
            for report, num, wall_s in zip(reports, steps, seconds, strict=True)
        ]
    return rows


def _steps(total: int, budgets: list[int]) -> list[int]:
    """Share a trial's steps out over its reports; they add up to its total."""
    parts = np.diff([0, *budgets])
    if total >= parts.sum():
        parts[0] += total - parts.sum()
        return [int(part) for part in parts]
    # Of a fine-tuning that was taken from the store, the last steps are those it trained.
    shared = np.diff(np.maximum(np.array([0, *budgets]) - (budgets[-1] - total), 0))
    return [int(part) for part in shared]


def _times(trial: dict[str, Any], steps: list[int], reports: list[dict[str, Any]]) -> list[float]:
    """Share a trial's time out over its reports: by steps, but none longer than it can have been.

    What one cannot have taken is shared out over the others.
    """
    room = [math.inf] * len(reports)
    before = trial["started_at"]
    for i, report in enumerate(reports):
        if pd.notna(before):
            room[i] = max(0.0, (report["reported_at"] - before).total_seconds())
        before = report["reported_at"]
    if all("wall_s" in report for report in reports):
        known = (float(report["wall_s"]) for report in reports)
        return [min(seconds, most) for seconds, most in zip(known, room, strict=True)]
    left = 0.0 if math.isnan(trial["wall_s"]) else float(trial["wall_s"])
    weights = [float(num) for num in steps] if sum(steps) else [1.0] * len(steps)
    times = [0.0] * len(steps)
    unsettled = set(range(len(steps)))
    while unsettled:
        total = sum(weights[i] for i in unsettled)
        shares = {i: left * weights[i] / total if total else 0.0 for i in unsettled}
        full = [i for i in unsettled if shares[i] >= room[i]]
        for i in full or unsettled:
            times[i] = min(shares[i], room[i])
        left -= sum(times[i] for i in full)
        unsettled -= set(full or unsettled)
    return times


def _seconds(times: pd.Series[Any]) -> Any:
    return times.dt.as_unit("us").astype("int64").to_numpy() / 1e6


def _busy_until(edges: Any, starts: Any, ends: Any) -> Any:
    """Return the trial seconds spent up to each point in time."""
    spent = np.zeros(len(edges))
    for start, end in zip(starts, ends, strict=True):
        spent += np.clip(edges - start, 0.0, end - start)
    return spent


def _slots(run: Run, starts: Any, ends: Any) -> int:
    asked = (run.study.get("search") or {}).get("max_concurrent")
    if isinstance(asked, int):
        return asked
    # Ends go before starts of the same moment: a slot is free by then.
    changes = sorted([*((time, 1) for time in starts), *((time, -1) for time in ends)])
    return max(1, int(np.cumsum([change for _, change in changes]).max()))
