"""A drawing as plain data: marks in data units, which three renderers draw alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from analysis.plots.style import SMALL, Scale


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        low: The number at its start: left or bottom. May be above ``high``: the axis is reversed.
        high: The number at its end.
        ticks: Positions and their labels.
        label: What is measured, with its unit; empty for names.
        grid: Whether a thin line goes through the picture at each tick.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    label: str = ""
    grid: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Markers of one shape.

    Attributes:
        x: Positions.
        y: Positions.
        color: Colour of each.
        radius: Radius of each in pixels.
        hollow: Whether each is drawn as an outline.
        hints: A line to read on each.
        shape: circle, square or diamond.
        name: Entry in the legend; empty for none.
    """

    x: Sequence[float]
    y: Sequence[float]
    color: Sequence[str]
    radius: Sequence[float]
    hollow: Sequence[bool]
    hints: Sequence[str] = ()
    shape: Literal["circle", "square", "diamond"] = "circle"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Polylines of one look.

    Attributes:
        paths: For each line its points, x and y.
        color: Their colour.
        width: Their width in pixels.
        dash: Lengths of dash and gap in pixels; empty for a solid line.
        opacity: From 0 to 1.
        name: Entry in the legend; empty for none.
    """

    paths: Sequence[Sequence[tuple[float, float]]]
    color: str = "line"
    width: float = 1.0
    dash: tuple[float, float] | tuple[()] = ()
    opacity: float = 1.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Rectangles of one look.

    Attributes:
        sides: For each its left, right, bottom and top.
        color: Colour of each.
        hints: A line to read on each.
        hatch: Whether they are hatched.
        name: Entry in the legend; empty for none.
    """

    sides: Sequence[tuple[float, float, float, float]]
    color: Sequence[str]
    hints: Sequence[str] = ()
    hatch: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Labels:
    """Texts in the picture.

    Attributes:
        x: Positions.
        y: Positions.
        texts: What they say.
        color: Their colours.
        anchor: Which part of a text is at its position.
        dx: Shift to the right in pixels.
        dy: Shift upwards in pixels.
        size: Size of the type in pixels.
        bold: Whether each is bold.
    """

    x: Sequence[float]
    y: Sequence[float]
    texts: Sequence[str]
    color: Sequence[str]
    anchor: Literal["start", "middle", "end"] = "middle"
    dx: float = 0.0
    dy: float = 0.0
    size: float = SMALL
    bold: Sequence[bool] = ()


Mark = Points | Lines | Boxes | Labels


@dataclass(frozen=True)
class Drawing:
    """What is to be seen, in data units.

    Attributes:
        name: Short name, for files.
        title: What it shows.
        caption: How to read it, and what was left out.
        x: Horizontal axis.
        y: Vertical axis.
        marks: Drawn in this order.
        data: The rows that are drawn: every number that can be read off it.
        width: Pixels, 96 to the inch.
        height: Pixels.
        margin: Room at the left, right, bottom and top for labels, legend and scale, in pixels.
        scale: The scale of its colours, if amounts have colours.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    data: pd.DataFrame = field(repr=False)
    width: float = 860.0
    height: float = 360.0
    margin: tuple[float, float, float, float] = (60.0, 20.0, 46.0, 30.0)
    scale: Scale | None = None
