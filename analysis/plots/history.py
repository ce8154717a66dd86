"""How a search went: the best score over cost and over time, survival at the rungs."""

from __future__ import annotations

from typing import Literal

from analysis.diagnostics import rung_survival
from analysis.frames import Run
from analysis.incumbents import incumbent_curve
from analysis.plots.drawing import Axis, Labels, Lines, Mark, Points
from analysis.plots.nodes import target_of
from analysis.plots.picture import Picture
from analysis.plots.style import PALETTE, color_of, padded, ticks, time_unit
from analysis.wording import clean, number, spell

_DASHES: tuple[tuple[float, float] | tuple[()], ...] = ((), (6.0, 3.0), (2.0, 2.0), (9.0, 2.0))
_SHAPES: tuple[Literal["circle", "square", "diamond"], ...] = ("circle", "square", "diamond")
_DECISIONS = {"stop": "stopped", "pause": "paused", "complete": "done", "promote": "went on"}


def incumbents(run: Run, *, over: Literal["steps", "time"] = "steps") -> Picture:
    """Draw the best score so far of each target, over training steps or over time.

    Args:
        run: The run.
        over: ``steps``, what the whole run has trained; or ``time``, since it started.

    Returns:
        The picture; ``data`` is ``analysis.incumbents.incumbent_curve(run)``.
    """
    found = incumbent_curve(run)
    column = "steps" if over == "steps" else "elapsed_s"
    end = float(found[column].max()) if len(found) else 0.0
    unit, name = (1.0, "") if over == "steps" else time_unit(end)
    label = "optimiser steps of the run" if over == "steps" else f"time since the start, {name}"
    end = end / unit or 1.0
    low, high = padded(found["score"])
    marks: list[Mark] = []
    for index, (target, part) in enumerate(found.groupby("target", sort=True)):
        rows = part.to_dict("records")
        path: list[tuple[float, float]] = []
        for row in rows:
            x = row[column] / unit
            # Along to the new incumbent at the old one's score, then up.
            path += [(x, path[-1][1] if path else row["score"]), (x, row["score"])]
        color = color_of(index)
        dash = _DASHES[index % len(_DASHES)]
        marks.append(Lines([path], color, 2.0, dash, name=clean(target)))
        better = rows[:-1]  # The last row is the end of the search.
        hints = [
            f"{clean(target)}: {number(row['score'])}, {spell(row['sequence'])}" for row in better
        ]
        marks.append(
            Points(
                [row[column] / unit for row in better],
                [row["score"] for row in better],
                [color] * len(better),
                [4.0] * len(better),
                [False] * len(better),
                hints,
                _SHAPES[index % len(_SHAPES)],
            )
        )
    return Picture(
        name=f"incumbents-{over}",
        title=f"Best score so far, over {over}",
        caption=(
            "A mark is a trial at the full budget that beat all earlier ones of its target, on the "
            "seed of the search: the best of many flatters."
        ),
        x=Axis(0.0, end * 1.01, ticks(0.0, end), label),
        y=Axis(low, high, ticks(low, high), "score, points", grid=True),
        marks=tuple(marks),
        data=found,
        height=320.0,
        margin=(64.0, 24.0, 48.0, 30.0),
    )


def survival(run: Run, target: str | None = None, *, max_trials: int = 400) -> Picture:
    """Draw how many trials of the search reached each rung, and what they scored there.

    Args:
        run: The run.
        target: The target; the first when ``None``.
        max_trials: Draw no more trials than this, those that came furthest and scored best; the
            counts above each rung are of all.

    Returns:
        The picture; ``data`` are the reports that are drawn: ``trial_id``, ``sequence``, ``rung``,
        ``budget_steps``, ``score`` and ``decision``. Baselines and confirmation, which no rung
        stops, are left out.

    Raises:
        UnknownNameError: No trial has that target.
    """
    target = target_of(run, target)
    trials = run.trials.loc[run.trials["phase"] == "search", ["trial_id", "sequence"]]
    reports = run.rungs[run.rungs["target"] == target].merge(trials, on="trial_id")
    arrived = rung_survival(run)
    counts = arrived[arrived["target"] == target]
    best = reports.sort_values(["rung", "score"], ascending=False).drop_duplicates("trial_id")
    drawn = reports[reports["trial_id"].isin(best["trial_id"].head(max_trials))]
    columns = ["trial_id", "sequence", "rung", "budget_steps", "score", "decision"]
    data = drawn.sort_values(["rung", "trial_id"], kind="stable")[columns].reset_index(drop=True)
    seen = data.dropna(subset="score")
    paths = [
        list(zip(part["rung"].astype(float), part["score"], strict=True))
        for _, part in seen.groupby("trial_id")
    ]
    low, high = padded(seen["score"], 0.08)
    marks: list[Mark] = [Lines([path for path in paths if len(path) > 1], "line", 1.0, (), 0.7)]
    for name, color, decisions in (
        ("went on, or done", PALETTE[0], ("promote", "complete")),
        ("stopped there", PALETTE[1], ("stop",)),
        ("waits for a promotion", PALETTE[4], ("pause",)),
    ):
        part = seen[seen["decision"].isin(decisions)].to_dict("records")
        if part:
            marks.append(
                Points(
                    x=[float(row["rung"]) for row in part],
                    y=[row["score"] for row in part],
                    color=[color] * len(part),
                    radius=[3.5] * len(part),
                    hollow=[name != "went on, or done"] * len(part),
                    hints=[
                        f"{spell(row['sequence'])}: {number(row['score'])}, "
                        f"{_DECISIONS.get(row['decision'], clean(row['decision']))}"
                        for row in part
                    ],
                    shape="square" if decisions == ("pause",) else "circle",
                    name=name,
                )
            )
    rows = counts.to_dict("records")
    marks.append(
        Labels(
            [float(row["rung"]) for row in rows],
            [high] * len(rows),
            [f"{row['num_arrived']} arrived, {row['num_passed']} passed" for row in rows],
            ["ink"] * len(rows),
            dy=8.0,
            bold=[True] * len(rows),
        )
    )
    num, shown = reports["trial_id"].nunique(), data["trial_id"].nunique()
    return Picture(
        name="survival",
        title=f"{clean(target)}: what reached each rung",
        caption=(
            "A line is a trial of the search. Trials of one target are compared at the same rung, "
            "and the best fraction goes on."
            + (f" Drawn: {shown} of {num} trials, the best." if shown < num else "")
        ),
        x=Axis(
            -0.35,
            float(max((row["rung"] for row in rows), default=0)) + 0.35,
            tuple(
                (float(row["rung"]), f"rung {row['rung']}: {row['budget_steps']:,} steps")
                for row in rows
            ),
        ),
        y=Axis(low, high, ticks(low, high), "score, points", grid=True),
        marks=tuple(marks),
        data=data,
        height=380.0,
        margin=(64.0, 24.0, 34.0, 46.0),
    )
