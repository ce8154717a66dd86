"""Heatmaps: what each task gains per target or language, and which of two stages goes first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.frames import Run
from analysis.observations import Source
from analysis.order_effects import precedence_effects
from analysis.plots.drawing import Axis, Boxes, Labels
from analysis.plots.nodes import target_of
from analysis.plots.picture import Picture
from analysis.plots.style import SMALL, ink_on, scale_of, shorten, text_width
from analysis.transfer import language_transfer, transfer_matrix
from analysis.wording import clean, number

_SIGNIFICANT = 0.05


def transfer(source: Source) -> Picture:
    """Draw the gain of each intermediate task alone, by target.

    Args:
        source: As in ``analysis.transfer.transfer_matrix``.

    Returns:
        The picture; ``data`` is ``transfer_matrix(source)``.
    """
    return _gains(
        transfer_matrix(source),
        "target",
        name="transfer",
        title="What each intermediate task gains alone, by target",
    )


def language_gains(run: Run, target: str | None = None) -> Picture:
    """Draw the gain of each intermediate task alone, by language of a target.

    Args:
        run: The run.
        target: The target; the first when ``None``.

    Returns:
        The picture; ``data`` are the rows of ``language_transfer`` that are drawn: those of
        evaluation sets that the search did not choose by, where there are any.

    Raises:
        UnknownNameError: No trial has that target.
    """
    target = target_of(run, target)
    found = language_transfer(run)
    found = found[found["target"] == target]
    unselected = found[~found["selected_on"]]
    basis = "chosen by these scores" if unselected.empty else "not chosen by these scores"
    shown = (found if unselected.empty else unselected).assign(
        set=lambda rows: rows["language"] + " " + rows["split"]
    )
    return _gains(
        shown,
        "set",
        name="languages",
        title=f"{clean(target)}: what each intermediate task gains alone, by language",
        note=f" The search has {basis}.",
    )


def precedence(source: Source, target: str) -> Picture:
    """Draw which of two stages should come first.

    Args:
        source: As in ``analysis.order_effects.precedence_effects``.
        target: The target.

    Returns:
        The picture; ``data`` is ``precedence_effects(source, target)``.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    found = precedence_effects(source, target)
    cells = {
        (row["first"], row["second"]): (row["effect"], row["p_holm"])
        for row in found.to_dict("records")
    }
    cells |= {(second, first): (-effect, p) for (first, second), (effect, p) in cells.items()}
    names = sorted({name for pair in cells for name in pair})
    return _heatmap(
        cells,
        names,
        names,
        found,
        name="precedence",
        title=f"{clean(target)}: which stage should come first",
        caption=(
            "Score with the stage of the row before that of the column, less the score the other "
            "way round, all else alike (points). A star: significant at 5% after Holm's "
            "adjustment. Empty: not seen both ways."
        ),
        label="effect, points",
    )


def _gains(frame: pd.DataFrame, column: str, *, name: str, title: str, note: str = "") -> Picture:
    cells = {
        (row["task"], row[column]): (row["gain"], row["p_holm"]) for row in frame.to_dict("records")
    }
    means = frame.groupby("task")["gain"].mean().sort_values(ascending=False, kind="stable")
    return _heatmap(
        cells,
        list(means.index),
        list(dict.fromkeys(frame[column])),
        frame,
        name=name,
        title=title,
        caption=(
            "Gain over no intermediate task under the same seeds, points; tasks with the largest "
            f"mean gain on top. A star: significant at 5% after Holm's adjustment.{note}"
        ),
        label="gain, points",
    )


def _heatmap(
    cells: Mapping[tuple[str, str], tuple[float, float]],
    rows: Sequence[str],
    columns: Sequence[str],
    data: pd.DataFrame,
    *,
    name: str,
    title: str,
    caption: str,
    label: str,
) -> Picture:
    scale = scale_of((value for value, _ in cells.values()), label)
    at = {
        key: (columns.index(key[1]), rows.index(key[0]))
        for key, (value, _) in cells.items()
        if not math.isnan(value)
    }
    colors = [scale.color(cells[key][0]) for key in at]
    left = min(max((text_width(clean(row), SMALL) for row in rows), default=0.0), 220.0) + 16
    room = max(860.0 - left - 20, 100.0)
    step = min(max(room / max(len(columns), 1), 34.0), 110.0)
    width = left + 20 + step * max(len(columns), 1)
    width = max(width, 420.0)
    wide = (width - left - 20) / max(len(columns), 1)
    marks = (
        Boxes(
            sides=[(x - 0.5, x + 0.5, y - 0.5, y + 0.5) for x, y in at.values()],
            color=colors,
            hints=[_hint(key, *cells[key]) for key in at],
        ),
        Labels(
            x=[float(x) for x, _ in at.values()],
            y=[float(y) for _, y in at.values()],
            texts=[
                number(cells[key][0], sign=True) + ("*" if cells[key][1] < _SIGNIFICANT else "")
                for key in at
            ],
            color=[ink_on(color) for color in colors],
        ),
    )
    return Picture(
        name=name,
        title=title,
        caption=caption,
        x=Axis(
            -0.5,
            max(len(columns), 1) - 0.5,
            tuple((float(i), shorten(clean(c), wide - 4, SMALL)) for i, c in enumerate(columns)),
        ),
        y=Axis(
            max(len(rows), 1) - 0.5,
            -0.5,
            tuple((float(i), shorten(clean(r), 220, SMALL)) for i, r in enumerate(rows)),
        ),
        marks=marks,
        data=data,
        width=width,
        height=28.0 * max(len(rows), 1) + 60,
        margin=(left, 20.0, 30.0, 30.0),
        scale=scale,
    )


def _hint(key: tuple[str, str], value: float, p: float) -> str:
    known = "" if math.isnan(p) else f", adjusted p {p:.2g}"
    return f"{clean(key[0])}, {clean(key[1])}: {number(value, sign=True)} points{known}"
