"""When trials ran, and how busy the slots were."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from analysis.frames import Run
from analysis.plots.drawing import Axis, Boxes, Lines, Mark
from analysis.plots.picture import Picture
from analysis.plots.style import PLAIN, ticks, time_unit
from analysis.timeline import timeline as segments
from analysis.timeline import utilisation as busy_slots
from analysis.wording import clean, duration, spell

#: Colour and hatching of a segment, by what the trial was for or how it ended; colours of one
#: hatching differ in lightness.
LOOKS = (
    ("baseline", "ink", False),
    ("search", "#0072B2", False),
    ("confirm", "#56B4E9", False),
    ("pruned", "#E69F00", True),
    ("failed", "#D55E00", True),
)


def timeline(run: Run, *, max_segments: int = 2000) -> Picture:
    """Draw what ran when: each segment of a trial up to a rung, in lanes where they overlap.

    Args:
        run: The run.
        max_segments: Draw no more than this, the first.

    Returns:
        The picture; ``data`` are the rows of ``analysis.timeline.timeline`` that are drawn, with
        ``state`` of the trial, ``start_s`` and ``end_s`` since the first start, and ``lane``.
    """
    found = segments(run).sort_values(["started_at", "trial_id"], kind="stable")
    cut = found.head(max_segments).reset_index(drop=True)
    zero = cut["started_at"].min()
    begin = (cut["started_at"] - zero).dt.total_seconds()
    end = (cut["ended_at"] - zero).dt.total_seconds()
    lanes = _lanes(begin.tolist(), end.tolist())
    states = run.trials.set_index("trial_id")["state"]
    state = cut["trial_id"].map(states).astype("str")
    data = cut.assign(state=state, start_s=begin, end_s=end, lane=lanes)
    looks = state.where(state.isin(["pruned", "failed"]), data["phase"])
    span = float(data["end_s"].max()) if len(data) else 1.0
    unit, name = time_unit(span)
    most = span / unit or 1.0
    marks: list[Mark] = []
    for look, color, hatch in LOOKS:
        part = data[looks == look].to_dict("records")
        if part:
            sides = [
                (row["start_s"] / unit, row["end_s"] / unit, row["lane"] - 0.42, row["lane"] + 0.42)
                for row in part
            ]
            hints = [_hint(row) for row in part]
            marks.append(Boxes(sides, [color] * len(part), hints, hatch, look))
    num_lanes = max(lanes, default=0) + 1
    return Picture(
        name="timeline",
        title="What ran when",
        caption=(
            "A bar is a trial's work up to a rung; where it begins is an estimate. Trials at work "
            f"at a time: up to {num_lanes}."
            + (f" The first {len(cut)} of {len(found)} bars." if len(cut) < len(found) else "")
        ),
        x=Axis(0.0, most * 1.005, ticks(0.0, most), f"time since the start, {name}", grid=True),
        y=Axis(num_lanes - 0.5, -0.5),
        marks=tuple(marks),
        data=data,
        height=min(max(num_lanes * 18.0, 40.0), 640.0) + 80,
        margin=(20.0, 24.0, 48.0, 28.0),
    )


def utilisation(run: Run, *, num_bins: int = 60) -> Picture:
    """Draw how many trials were at work over time, of those that could be.

    Args:
        run: The run.
        num_bins: Into how many equal parts the run's time is divided.

    Returns:
        The picture; ``data`` is ``analysis.timeline.utilisation(run)``.
    """
    found = busy_slots(run, num_bins=num_bins)
    zero = found["started_at"].min()
    begin = (found["started_at"] - zero).dt.total_seconds()
    end = (found["ended_at"] - zero).dt.total_seconds()
    span = float(end.max()) if len(found) else 1.0
    unit, name = time_unit(span)
    most = span / unit or 1.0
    slots = float(found["slots"].max()) if len(found) else 1.0
    mean = float(found["share"].mean()) if len(found) else 0.0
    sides = [
        (low / unit, high / unit, 0.0, float(busy))
        for low, high, busy in zip(begin, end, found["busy"], strict=True)
    ]
    hints = [
        f"after {duration(low)}: {busy:.1f} of {slots:g} at work"
        for low, busy in zip(begin, found["busy"], strict=True)
    ]
    return Picture(
        name="utilisation",
        title="How busy the run was",
        caption=f"Trials at work (an estimate) and slots; {mean:.0%} of the slots were busy.",
        x=Axis(0.0, most * 1.005, ticks(0.0, most), f"time since the start, {name}"),
        y=Axis(0.0, slots * 1.1, ticks(0.0, slots, 4), "trials", grid=True),
        marks=(
            Boxes(sides, [PLAIN] * len(sides), hints, name="at work"),
            Lines([[(0.0, slots), (most, slots)]], "ink", 1.5, (5.0, 3.0), name="slots"),
        ),
        data=found,
        height=220.0,
        margin=(64.0, 24.0, 48.0, 28.0),
    )


def _lanes(begin: Sequence[float], end: Sequence[float]) -> list[int]:
    """Give each interval the lowest lane that is free; intervals are in order of their begin.

    >>> _lanes([0, 1, 2], [2, 3, 4])
    [0, 1, 0]
    """
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    lanes, num = [], 0
    for start, stop in zip(begin, end, strict=True):
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            heapq.heappush(free, num)
            num += 1
        lane = heapq.heappop(free)
        heapq.heappush(busy, (stop, lane))
        lanes.append(lane)
    return lanes


def _hint(row: dict[Any, Any]) -> str:
    until = "the end" if row["rung"] < 0 else f"rung {row['rung']}"
    return (
        f"trial {row['trial_id']}, {clean(row['target'])}, {spell(row['sequence'])}: to {until}, "
        f"{row['steps']:,} steps, {duration(row['wall_s'])}, {row['phase']}, {row['state']}"
    )
