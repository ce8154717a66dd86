"""Draw a picture with matplotlib: vectors, embedded fonts, no global state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.transforms import ScaledTranslation

from analysis.plots.drawing import Boxes, Drawing, Labels, Lines, Mark, Points
from analysis.plots.style import FONT_SIZE, ROLES, SMALL

_POINT = 0.75  # A pixel in points.
_SHAPES = {"circle": "o", "square": "s", "diamond": "D"}
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}

#: Text stays text, in SVG and in PDF (type 42), so that it can be searched and edited.
SETTINGS: Any = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "taskorder",
    "hatch.linewidth": 0.6,
    "hatch.color": "white",
}


def draw(picture: Drawing) -> Figure:
    """Draw a picture.

    Args:
        picture: The picture.

    Returns:
        A figure of its size, not attached to pyplot.
    """
    with mpl.rc_context(SETTINGS):
        return _draw(picture)


def save(picture: Drawing, path: Path) -> None:
    """Write a picture to a file; text stays text, and the file is the same each time."""
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix)
    with mpl.rc_context(SETTINGS):
        _draw(picture).savefig(path, dpi=192, metadata=undated)


def _draw(picture: Drawing) -> Figure:
    figure = Figure(figsize=(picture.width / 96, picture.height / 96), facecolor="white")
    left, right, bottom, top = picture.margin
    axes = figure.add_axes(
        (
            left / picture.width,
            bottom / picture.height,
            (picture.width - left - right) / picture.width,
            (picture.height - bottom - top) / picture.height,
        )
    )
    _set_axes(axes, picture)
    handles = [_add(axes, mark, order) for order, mark in enumerate(picture.marks, start=2)]
    named = [handle for handle in handles if handle is not None]
    if named:
        figure.legend(
            handles=named,
            loc="upper left",
            bbox_to_anchor=(left / picture.width, 1.0),
            ncols=len(named),
            frameon=False,
            fontsize=SMALL * _POINT,
            borderaxespad=0.2,
            handletextpad=0.4,
        )
    if picture.scale:
        _add_scale(figure, picture)
    return figure


def _set_axes(axes: Any, picture: Drawing) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for axis, limit, place, own in (
        (axes.xaxis, axes.set_xlim, axes.set_xticks, picture.x),
        (axes.yaxis, axes.set_ylim, axes.set_yticks, picture.y),
    ):
        limit(own.low, own.high)
        place([x for x, _ in own.ticks], labels=[text for _, text in own.ticks])
        axis.set_tick_params(labelsize=SMALL * _POINT, length=3, color=ROLES["line"])
        for label in axis.get_ticklabels():
            label.set_parse_math(False)
        axis.set_label_text(own.label, fontsize=FONT_SIZE * _POINT, parse_math=False)
        if own.grid:
            axis.grid(visible=True, color=ROLES["grid"], linewidth=0.6)
        if not own.ticks:
            axis.set_visible(False)
    for side, own in (("bottom", picture.x), ("left", picture.y)):
        axes.spines[side].set_color(ROLES["line"])
        axes.spines[side].set_visible(bool(own.ticks))
    axes.set_axisbelow(True)


def _add(axes: Any, mark: Mark, order: int) -> Any:
    """Draw a mark; return its entry in the legend, if it has one."""
    if isinstance(mark, Lines):
        style = (0, tuple(x * _POINT for x in mark.dash)) if mark.dash else "solid"
        look: dict[str, Any] = {
            "linewidth": mark.width * _POINT,
            "linestyle": style,
            "alpha": mark.opacity,
        }
        color = _color(mark.color)
        axes.add_collection(
            LineCollection(list(mark.paths), colors=color, zorder=order, **look), autolim=False
        )
        return Line2D([], [], color=color, label=mark.name, **look) if mark.name else None
    if isinstance(mark, Points):
        return _add_points(axes, mark, order)
    if isinstance(mark, Boxes):
        colors = [_color(color) for color in mark.color]
        patches = [Rectangle((x0, y0), x1 - x0, y1 - y0) for x0, x1, y0, y1 in mark.sides]
        look = {"hatch": "////" if mark.hatch else None, "edgecolor": "white", "linewidth": 0.5}
        axes.add_collection(
            PatchCollection(patches, facecolor=colors, zorder=order, **look), autolim=False
        )
        return Patch(facecolor=colors[0], label=mark.name, **look) if mark.name and colors else None
    for index, text in enumerate(mark.texts):
        _add_text(axes, mark, index, text, order)
    return None


def _add_points(axes: Any, mark: Points, order: int) -> Any:
    edges = [_color(color) for color in mark.color]
    faces = ["white" if hollow else edge for edge, hollow in zip(edges, mark.hollow, strict=True)]
    # An area of pi r^2 of a circle is what matplotlib calls s = (2 r)^2.
    areas = [(2 * radius * _POINT) ** 2 for radius in mark.radius]
    shape = _SHAPES[mark.shape]
    axes.scatter(
        mark.x, mark.y, s=areas, c=faces, edgecolors=edges, linewidths=1.2, marker=shape,
        zorder=order, clip_on=False,
    )  # fmt: skip
    if not mark.name or not edges:
        return None
    return Line2D(
        [], [], linestyle="", marker=shape, markersize=6, label=mark.name,
        markeredgecolor=edges[0], markerfacecolor=faces[0],
    )  # fmt: skip


def _add_text(axes: Any, mark: Labels, index: int, text: str, order: int) -> None:
    shift = ScaledTranslation(mark.dx / 96, mark.dy / 96, axes.figure.dpi_scale_trans)
    axes.text(
        mark.x[index], mark.y[index], text, parse_math=False, zorder=order,
        transform=axes.transData + shift, ha=_ANCHORS[mark.anchor], va="center",
        fontsize=mark.size * _POINT, color=_color(mark.color[index]),
        fontweight="bold" if mark.bold and mark.bold[index] else "normal",
    )  # fmt: skip


def _add_scale(figure: Figure, picture: Drawing) -> None:
    scale = picture.scale
    assert scale is not None
    place = figure.add_axes(
        (1 - 166 / picture.width, 1 - 14 / picture.height, 120 / picture.width, 9 / picture.height)
    )
    colors = mpl.cm.ScalarMappable(Normalize(scale.low, scale.high), "cividis")
    bar = figure.colorbar(colors, cax=place, orientation="horizontal")
    bar.set_ticks([])
    for x, side, text in (
        (-0.03, "right", f"{scale.label}: {scale.low:+.1f}"),
        (1.03, "left", f"{scale.high:+.1f}"),
    ):
        place.text(
            x, 0.45, text, transform=place.transAxes, ha=side, va="center",
            fontsize=SMALL * _POINT, color=ROLES["muted"], parse_math=False,
        )  # fmt: skip


def _color(color: str) -> str:
    return ROLES.get(color, color)
