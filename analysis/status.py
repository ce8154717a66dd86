"""Where a run stands, from its tables alone: it may be asked of a live run at any time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.frames import Run, load_run
from analysis.statistics import cost_summary, incumbent
from analysis.wording import clean, duration, number, spell
from spaces.tables import STATES

#: Failed trials that are listed.
ERRORS = 5

_INCUMBENT = ("sequence", "score", "score_low", "score_high", "num_seeds", "confirmed")
_INCUMBENT_GAINS = ("gain", "gain_low", "gain_high", "gain_over_all")


def status(run_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """Say where a run stands, as plain data for people and for ``--json``.

    Args:
        run_dir: The run directory.

    Returns:
        ``name`` and ``path``; ``finished`` (the driver said so, or no trial is running or waiting
        and the search's budget is used up); ``trials``, counts by state and their ``total``;
        ``stages`` with ``distinct``, ``trained``, ``reused`` and ``size_bytes`` (what the store
        still holds);
        ``incumbents``, target to sequence, score, gains (points) and seeds, or ``None`` where no
        trial is complete; ``cost`` with ``steps_trained``, ``steps_reused``, ``share_saved``,
        ``wall_s`` and ``elapsed_s``; ``time_left_s`` (seconds) or ``None`` where nothing has
        finished; ``errors``, the last failed trials with ``trial_id``, ``target``, ``sequence`` and
        ``error``. What is unknown is ``None``, never NaN.

    Raises:
        RunDirectoryError: As ``load_run``.
    """
    return describe(load_run(run_dir, strict=True))


def watch(
    run_dir: str | os.PathLike[str],
    show: Callable[[dict[str, Any]], None],
    *,
    every_s: float = 5.0,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Look at a run again and again until it has ended.

    Args:
        run_dir: The run directory.
        show: Called with what ``status`` returns, at first and whenever it has changed.
        every_s: Seconds between two looks.
        wait: Waits that long.

    Raises:
        RunDirectoryError: As ``load_run``.
    """
    before = None
    while True:
        found = status(run_dir)
        if found != before:
            show(found)
        if found["finished"]:
            return
        before = found
        wait(every_s)


def describe(run: Run) -> dict[str, Any]:
    """Return what ``status`` returns, of a run that is loaded already."""
    cost = cost_summary(run).to_dict("index")["all"]
    best = {row["target"]: row for row in incumbent(run).to_dict("records")}
    targets = [*best, *_targets(run.study), *sorted(set(run.trials["target"]))]
    # A search may end before its budget, with a space that is exhausted: only its driver knows.
    to_come = 0 if run.finished else _trials_to_come(run)
    return {
        "name": run.name,
        "path": str(run.path),
        "finished": to_come == 0,
        "trials": {"total": len(run.trials), **{state: int(cost[state]) for state in STATES}},
        "stages": {
            "distinct": len(run.stages),
            "trained": int(run.stages["times_trained"].sum()),
            "reused": int(run.stages["times_reused"].sum()),
            "size_bytes": int(run.stages.loc[~run.stages["evicted"], "size_bytes"].sum()),
        },
        "incumbents": {
            target: _known(best[target], (*_INCUMBENT, *_INCUMBENT_GAINS))
            if target in best
            else None
            for target in dict.fromkeys(targets)
        },
        "cost": _known(
            cost,
            ("steps_trained", "steps_reused", "share_saved", "wall_s", "elapsed_s"),
        ),
        "time_left_s": _time_left(run.trials, to_come),
        "errors": [
            _known(row, ("trial_id", "target", "sequence", "error"))
            for row in run.trials[run.trials["state"] == "failed"].tail(ERRORS).to_dict("records")
        ],
    }


def render_status(found: Mapping[str, Any]) -> Group:
    """Render what ``status`` returned for ``rich.console.Console.print``.

    Names and errors of the run are printed as they are: nothing in them is read as markup.
    """
    trials, stages, cost = found["trials"], found["stages"], found["cost"]
    counts = ", ".join(f"{trials[state]} {state}" for state in STATES if trials[state])
    saved = cost["share_saved"]
    lines = [
        f"trials: {trials['total']}" + (f" ({counts})" if counts else ""),
        (
            f"stages: {stages['distinct']} distinct, trained {stages['trained']} times, reused "
            f"{stages['reused']} times, {stages['size_bytes'] / 1e6:.1f} MB"
        ),
        f"steps:  {cost['steps_trained']:,} trained, {cost['steps_reused']:,} spared"
        + ("" if saved is None else f" ({saved:.0%} saved)"),
        f"time:   {_duration(cost['elapsed_s'])}{_left(found)}",
    ]
    best = Table(box=None, pad_edge=False)
    for name in ("target", "best so far"):
        best.add_column(name, overflow="fold")
    for name in ("score", "over none", "seeds"):
        best.add_column(name, justify="right", no_wrap=True)
    for target, row in found["incumbents"].items():
        cells = [clean(target), *(_incumbent(row) if row else ("nothing complete yet", "", "", ""))]
        best.add_row(*(Text(cell) for cell in cells))
    errors = [
        Text(f"trial {row['trial_id']} failed: {clean(row['error']) or '(no message)'}", "red")
        for row in found["errors"]
    ]
    heading = f"{clean(found['name'])} in {clean(found['path'])}"
    body = Group(Text("\n".join(lines)), Text(""), best, *errors)
    return Group(Text(heading, "bold"), Padding(body, (0, 0, 0, 2)))


def _incumbent(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    gain = row["gain"]
    return (
        spell(row["sequence"]),
        number(row["score"]),
        "-" if gain is None or not row["sequence"] else number(gain, sign=True),
        str(row["num_seeds"]),
    )


def _left(found: Mapping[str, Any]) -> str:
    if found["finished"]:
        return ", finished"
    left = found["time_left_s"]
    return " so far, " + (
        "time left unknown yet" if left is None else f"about {duration(left)} left"
    )


def _duration(seconds: float | None) -> str:
    return "none" if seconds is None else duration(seconds)


def _targets(study: Mapping[str, Any]) -> list[str]:
    listed = study.get("targets") or []
    return [str(item["name"] if isinstance(item, dict) else item) for item in listed]


def _trials_to_come(run: Run) -> int:
    """Count the trials that wait or run, and those the study's budget has yet to ask for.

    Baselines are in the tables from the start. Confirmation follows the search: once its first
    trial appears, nothing is left to ask for, even where the search ended before its budget.
    """
    trials = run.trials
    pending = int(trials["state"].isin(["running", "waiting"]).sum())
    if (trials["phase"] == "confirm").any():
        return pending
    search = run.study.get("search") or {}
    confirm = search.get("confirm") or {}
    asked = int((trials["phase"] == "search").sum())
    unasked = max(int(search.get("num_trials") or 0) - asked, 0)
    # The two references are confirmed beside the best: no intermediate task, all at once.
    sequences = int(confirm.get("top") or 0) and int(confirm["top"]) + 2
    per_target = sequences * int(confirm.get("seeds") or 0)
    return pending + unasked + per_target * len(_targets(run.study))


def _time_left(trials: pd.DataFrame, to_come: int) -> float | None:
    """Estimate the seconds left: trials to come at the pace of those finished so far."""
    if to_come == 0:
        return 0.0
    finished = trials["finished_at"].notna()
    if not finished.any():
        return None
    elapsed = trials["finished_at"].max() - trials["started_at"].min()
    return float(elapsed.total_seconds()) / int(finished.sum()) * to_come


def _known(row: Mapping[Any, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _plain(row[name]) for name in names}


def _plain(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
