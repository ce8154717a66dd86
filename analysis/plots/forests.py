"""Forest plots: estimates with their intervals, one below the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from analysis.importance import task_importance
from analysis.observations import Source
from analysis.order_effects import precedence_effects
from analysis.plots.drawing import Axis, Lines, Mark, Points
from analysis.plots.picture import Picture
from analysis.plots.style import (
    BEST,
    PLAIN,
    REFERENCE,
    SMALL,
    padded,
    shorten,
    text_width,
    ticks,
)
from analysis.statistics import leaderboard
from analysis.wording import clean, number, spell

_ROW = 24.0


def ranking(source: Source, target: str, *, top: int = 15) -> Picture:
    """Draw the best sequences of a target and the references, with their intervals.

    Args:
        source: As in ``analysis.statistics.leaderboard``.
        target: The target.
        top: How many sequences beside the references.

    Returns:
        The picture; ``data`` are the rows of ``leaderboard`` that are drawn, none where nothing
        of the target is complete.
    """
    board = leaderboard(source)
    board = board[board["target"] == target] if target in set(board["target"]) else board.iloc[:0]
    shown = board[(board["rank"] <= top) | (board["baseline"] != "")]
    left_out = len(board) - len(shown)
    return _forest(
        shown,
        "score",
        lambda row: spell(row["sequence"], row["baseline"]),
        lambda row: (
            BEST if row["rank"] == 1 else REFERENCE if row["baseline"] != "" else PLAIN,
            "diamond" if row["baseline"] != "" else "circle",
        ),
        name="ranking",
        title=f"{clean(target)}: the best sequences and the references",
        caption=(
            "Mean score over seeds with its 95% interval; a hollow mark rests on one seed and has "
            "none. Diamonds: references."
            + (f" Further sequences left out: {left_out}." if left_out else "")
        ),
        label="score, points",
        sure=lambda row: bool(row["num_seeds"] > 1),
    )


def order_effects(source: Source, target: str, *, top: int = 15) -> Picture:
    """Draw what it is worth to have one stage before another, the largest effects first.

    Args:
        source: As in ``analysis.order_effects.precedence_effects``.
        target: The target.
        top: How many pairs.

    Returns:
        The picture; ``data`` are the rows of ``precedence_effects`` that are drawn, turned so that
        no effect is negative.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    found = precedence_effects(source, target)
    turned = pd.DataFrame(
        [_turned(row) for row in found.to_dict("records")], columns=found.columns
    ).astype(found.dtypes)
    shown = turned.sort_values("effect", ascending=False, kind="stable").head(top)
    return _forest(
        shown,
        "effect",
        lambda row: f"{clean(row['first'])} before {clean(row['second'])}",
        _significance,
        name="order",
        title=f"{clean(target)}: what the order of two stages is worth",
        caption=(
            "Score with the first before the second, less the other way round, all else alike, "
            "with a 95% interval for each alone. Hollow: no interval, for lack of repeats. "
            "Diamond: significant at 5% after Holm's adjustment."
            + (f" The largest of {len(found)} effects." if len(found) > len(shown) else "")
        ),
        label="effect, points",
        zero=True,
    )


def importance(source: Source, target: str, *, top: int = 20) -> Picture:
    """Draw what each intermediate task adds on average: its Shapley value.

    Args:
        source: As in ``analysis.importance.task_importance``.
        target: The target.
        top: How many tasks.

    Returns:
        The picture; ``data`` are the rows of ``task_importance`` that are drawn.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    found = task_importance(source)
    found = found[(found["target"] == target) & found["importance"].notna()]
    method = next(iter(found["method"]), "exact")
    how = {
        "exact": "exact, from every set",
        "pairwise": "estimated from a fit with interactions of two",
        "additive": "estimated from an additive fit",
    }[method]
    return _forest(
        found.head(top),
        "importance",
        lambda row: clean(row["task"]),
        _significance,
        name="importance",
        title=f"{clean(target)}: what each task adds on average",
        caption=(
            f"Shapley value over sets of tasks ({how}), with a 95% interval (hollow: none). "
            "Diamond: significant at 5% after Holm's adjustment."
            + (f" The largest of {len(found)}." if len(found) > top else "")
        ),
        label="Shapley value, points",
        zero=True,
    )


def _significance(row: dict[Any, Any]) -> tuple[str, str]:
    return (BEST, "diamond") if row["p_holm"] < 0.05 else (PLAIN, "circle")


def _turned(row: dict[Any, Any]) -> dict[Any, Any]:
    if not row["effect"] < 0:
        return row
    return row | {
        "first": row["second"],
        "second": row["first"],
        "effect": -row["effect"],
        "effect_low": -row["effect_high"],
        "effect_high": -row["effect_low"],
    }


def _forest(
    frame: pd.DataFrame,
    value: str,
    title_of: Callable[[dict[Any, Any]], str],
    look_of: Callable[[dict[Any, Any]], tuple[str, str]],
    *,
    name: str,
    title: str,
    caption: str,
    label: str,
    sure: Callable[[dict[Any, Any]], bool] | None = None,
    zero: bool = False,
) -> Picture:
    rows = frame.to_dict("records")
    names = [title_of(row) for row in rows]
    lows, highs = ([row[f"{value}_{end}"] for row in rows] for end in ("low", "high"))
    values = [float(row[value]) for row in rows]
    low, high = padded([*values, *lows, *highs, *([0.0] if zero else [])])
    left = min(max((text_width(text, SMALL) for text in names), default=0.0), 330.0) + 16
    marks: list[Mark] = []
    if zero:
        marks.append(Lines([[(0.0, -0.5), (0.0, len(rows) - 0.5)]], "muted", 1.2, (4.0, 3.0)))
    for color in dict.fromkeys(look_of(row)[0] for row in rows):
        chosen = [
            [(lows[i], float(i)), (highs[i], float(i))]
            for i, row in enumerate(rows)
            if look_of(row)[0] == color and not math.isnan(lows[i])
        ]
        marks.append(Lines(chosen, color, 2.0))
    for shape in ("circle", "diamond"):
        index = [i for i, row in enumerate(rows) if look_of(row)[1] == shape]
        if index:
            marks.append(
                _points(
                    [values[i] for i in index],
                    index,
                    [look_of(rows[i])[0] for i in index],
                    [not sure(rows[i]) if sure else math.isnan(lows[i]) for i in index],
                    [_hint(names[i], rows[i], value) for i in index],
                    shape,
                )
            )
    return Picture(
        name=name,
        title=title,
        caption=caption,
        x=Axis(low, high, ticks(low, high), label, grid=True),
        y=Axis(
            max(len(rows), 1) - 0.5,
            -0.5,
            tuple((float(i), shorten(text, 330, SMALL)) for i, text in enumerate(names)),
        ),
        marks=tuple(marks),
        data=frame,
        height=_ROW * max(len(rows), 1) + 64,
        margin=(left, 20.0, 48.0, 12.0),
    )


def _points(
    x: Sequence[float],
    y: Sequence[int],
    color: Sequence[str],
    hollow: Sequence[bool],
    hints: Sequence[str],
    shape: str,
) -> Points:
    return Points(
        x,
        [float(i) for i in y],
        color,
        [5.0] * len(x),
        hollow,
        hints,
        "diamond" if shape == "diamond" else "circle",
    )


def _hint(name: str, row: dict[Any, Any], value: str) -> str:
    low, high = row[f"{value}_low"], row[f"{value}_high"]
    interval = "" if math.isnan(low) else f", 95% interval {number(low)} to {number(high)}"
    return f"{name}: {number(row[value])}{interval}"
