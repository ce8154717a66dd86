"""Similarities as heatmaps, and the gains of tasks and sequences that they are held against."""

from __future__ import annotations

import math

import pandas as pd

from analysis.columns import tidy
from analysis.observations import NO_INTERMEDIATE, Source, observations
from analysis.plots.drawing import Axis, Boxes, Labels
from analysis.plots.picture import Picture
from analysis.plots.style import SMALL, Scale, ink_on, shorten, text_width
from analysis.wording import clean
from spaces.errors import UnknownNameError
from spaces.tables import Column

SEQUENCE_GAINS = (
    Column("source", "string", "", "The sequence: stage names joined by '>'."),
    Column("target", "string", "", "Name of the target task."),
    Column("gain", "float64", "points", "Over no intermediate task, mean over common seeds."),
)

_TITLES = {
    "source_target": "how like each target the stages are",
    "source_source": "how like one another the stages are",
    "sequence_target": "what the sequences are guessed to do for each target",
}
_CELL, _ROW, _WIDEST_NAME = 84.0, 28.0, 220.0


def sequence_gains(source: Source) -> pd.DataFrame:
    """Return what each sequence gains over no intermediate task, under the same seeds.

    Args:
        source: A run, or a recorded table, as in ``analysis.observations``.

    Returns:
        The columns of ``SEQUENCE_GAINS``, one row per sequence of at least one stage and target.
    """
    found = observations(source, average=False)
    none = found[found["baseline"] == NO_INTERMEDIATE]
    paired = found.merge(none, on=["target", "seed"], suffixes=("", "_none"))
    paired = paired[paired["num_stages"] > 0].assign(
        gain=lambda rows: rows["score"] - rows["score_none"], source=lambda rows: rows["sequence"]
    )
    means = paired.groupby(["source", "target"], as_index=False)["gain"].mean()
    return tidy(means, SEQUENCE_GAINS)


def similarity_heatmap(frame: pd.DataFrame, measure: str, kind: str = "source_target") -> Picture:
    """Draw one measure's values, sources by targets.

    The numbers are printed in the cells, and a cell is the lighter the higher its value is among
    those of its column, so it can be read in greyscale. Columns are not held against one another:
    many measures are comparable for one target alone.

    Args:
        frame: Columns ``kind``, ``source``, ``target``, ``measure`` and ``value``.
        measure: The measure.
        kind: ``source_target``, ``source_source`` or ``sequence_target``.

    Returns:
        The picture; ``data`` are the rows that are drawn.

    Raises:
        UnknownNameError: The frame has no such values.
    """
    data = frame[(frame["measure"] == measure) & (frame["kind"] == kind)]
    if data.empty:
        there = sorted(set(frame.loc[frame["kind"] == kind, "measure"]))
        raise UnknownNameError("measure", measure, there, kind)
    rows, columns = list(dict.fromkeys(data["source"])), list(dict.fromkeys(data["target"]))
    if kind == "source_source":
        columns = rows
    known = data[data["value"].notna()]
    x = [float(columns.index(name)) for name in known["target"]]
    y = [float(rows.index(name)) for name in known["source"]]
    scales = {
        target: Scale(part.min(), part.max(), measure)
        for target, part in known.groupby("target")["value"]
    }
    pairs = list(zip(known["target"], known["value"].tolist(), strict=True))
    colors = [scales[target].color(value) for target, value in pairs]
    texts = [format_value(value) for _, value in pairs]
    left = min(max(text_width(clean(row), SMALL) for row in rows), _WIDEST_NAME) + 16
    return Picture(
        name=f"{kind}-{measure}",
        title=f"{measure}: {_TITLES[kind]}",
        caption="The lighter, the higher among the values of the column. Empty: not available.",
        x=Axis(
            -0.5,
            len(columns) - 0.5,
            tuple(
                (float(i), shorten(clean(name), _CELL - 4, SMALL)) for i, name in enumerate(columns)
            ),
        ),
        y=Axis(
            len(rows) - 0.5,
            -0.5,
            tuple(
                (float(i), shorten(clean(name), _WIDEST_NAME, SMALL)) for i, name in enumerate(rows)
            ),
        ),
        marks=(
            Boxes(
                sides=[(i - 0.5, i + 0.5, j - 0.5, j + 0.5) for i, j in zip(x, y, strict=True)],
                color=colors,
                hints=[
                    f"{clean(row['source'])}, {clean(row['target'])}: {format_value(row['value'])}"
                    for row in known.to_dict("records")
                ],
            ),
            Labels(x=x, y=y, texts=texts, color=[ink_on(color) for color in colors]),
        ),
        data=data,
        width=max(left + 20 + _CELL * len(columns), 420.0),
        height=_ROW * len(rows) + 40,
        margin=(left, 20.0, 30.0, 10.0),
    )


def format_value(value: float) -> str:
    """Write a value in four characters or a little more; nothing where it is not available.

    >>> format_value(0.98765), format_value(-0.5), format_value(66.235), format_value(float("nan"))
    ('0.988', '-0.500', '66.2', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
