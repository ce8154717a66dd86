"""Draw a picture with plotly: zoom, and a text on every mark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import plotly.graph_objects as go

from analysis.plots.drawing import Axis, Boxes, Drawing, Labels, Lines, Mark, Points
from analysis.plots.style import FONT_SIZE, ROLES, SMALL

_SIDES = {"start": "right", "middle": "center", "end": "left"}


def draw(picture: Drawing) -> go.Figure:
    """Draw a picture.

    Args:
        picture: The picture.

    Returns:
        A figure of its size. Names in it are escaped: plotly reads markup in every text.
    """
    figure = go.Figure()
    for mark in picture.marks:
        for trace in _traces(mark):
            figure.add_trace(trace)
    if picture.scale:
        figure.add_trace(_scale(picture))
    left, right, bottom, top = picture.margin
    figure.update_layout(
        title={"text": escape(picture.title), "font": {"size": FONT_SIZE + 3}},
        xaxis=_axis(picture.x),
        yaxis=_axis(picture.y),
        width=picture.width + (80 if picture.scale else 0),
        height=picture.height + 60,
        margin={"l": left, "r": right + (80 if picture.scale else 0), "b": bottom, "t": top + 50},
        font={"size": FONT_SIZE, "color": ROLES["ink"]},
        plot_bgcolor="white",
        paper_bgcolor="white",
        barmode="overlay",
        hovermode="closest",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0},
    )
    return figure


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "range": [axis.low, axis.high],
        "tickvals": [x for x, _ in axis.ticks],
        "ticktext": [escape(text) for _, text in axis.ticks],
        "title": {"text": escape(axis.label)},
        "showgrid": axis.grid,
        "gridcolor": ROLES["grid"],
        "linecolor": ROLES["line"],
        "showline": bool(axis.ticks),
        "visible": bool(axis.ticks),
        "zeroline": False,
    }


def _traces(mark: Mark) -> Iterator[Any]:
    if isinstance(mark, Lines):
        yield _lines(mark)
    elif isinstance(mark, Points):
        yield _points(mark)
    elif isinstance(mark, Boxes):
        yield _boxes(mark)
    else:
        # One trace for each look; a shift of less than a line is left out.
        looks = sorted({(color, _bold(mark, i)) for i, color in enumerate(mark.color)})
        for color, bold in looks:
            chosen = [
                i for i, own in enumerate(mark.color) if (own, _bold(mark, i)) == (color, bold)
            ]
            yield _labels(mark, chosen, color, bold)


def _lines(mark: Lines) -> go.Scatter:
    # One trace for all: a gap between two lines is a point without a place.
    points = [point for path in mark.paths for point in (*path, (None, None))]
    return go.Scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        mode="lines",
        line={
            "color": _color(mark.color),
            "width": mark.width,
            "dash": ",".join(f"{x:g}px" for x in mark.dash) or "solid",
        },
        opacity=mark.opacity,
        hoverinfo="skip",
        name=escape(mark.name),
        showlegend=bool(mark.name),
    )


def _points(mark: Points) -> go.Scatter:
    colors = [_color(color) for color in mark.color]
    return go.Scatter(
        x=list(mark.x),
        y=list(mark.y),
        mode="markers",
        marker={
            "size": [2 * radius for radius in mark.radius],
            "color": [
                "white" if hollow else color
                for color, hollow in zip(colors, mark.hollow, strict=True)
            ],
            "symbol": mark.shape,
            "line": {"color": colors, "width": 1.5},
            "opacity": 1.0,
        },
        text=[escape(hint) for hint in mark.hints],
        hoverinfo="text" if mark.hints else "skip",
        name=escape(mark.name),
        showlegend=bool(mark.name),
        cliponaxis=False,
    )


def _boxes(mark: Boxes) -> go.Bar:
    return go.Bar(
        base=[x0 for x0, *_ in mark.sides],
        x=[x1 - x0 for x0, x1, *_ in mark.sides],
        y=[(y0 + y1) / 2 for *_, y0, y1 in mark.sides],
        width=[abs(y1 - y0) for *_, y0, y1 in mark.sides],
        orientation="h",
        marker={
            "color": [_color(color) for color in mark.color],
            "line": {"color": "white", "width": 0.5},
            "pattern": {"shape": "/" if mark.hatch else "", "fgcolor": "white", "size": 6},
        },
        hovertext=[escape(hint) for hint in mark.hints],
        hoverinfo="text" if mark.hints else "skip",
        name=escape(mark.name),
        showlegend=bool(mark.name),
    )


def _labels(mark: Labels, chosen: list[int], color: str, bold: bool) -> go.Scatter:
    level = "top" if mark.dy > 0 else "bottom" if mark.dy < 0 else "middle"
    return go.Scatter(
        x=[mark.x[i] for i in chosen],
        y=[mark.y[i] for i in chosen],
        mode="text",
        text=[escape(mark.texts[i]) for i in chosen],
        textposition=f"{level} {_SIDES[mark.anchor]}",
        textfont={
            "size": mark.size,
            "color": _color(color),
            "weight": "bold" if bold else "normal",
        },
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )


def _bold(mark: Labels, index: int) -> bool:
    return bool(mark.bold and mark.bold[index])


def _scale(picture: Drawing) -> go.Scatter:
    scale = picture.scale
    assert scale is not None
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        showlegend=False,
        marker={
            "color": [scale.low],
            "cmin": scale.low,
            "cmax": scale.high,
            "colorscale": "Cividis",
            "showscale": True,
            "colorbar": {
                "title": {"text": escape(scale.label), "side": "right", "font": {"size": SMALL}},
                "thickness": 12,
            },
        },
    )


def _color(color: str) -> str:
    return ROLES.get(color, color)
