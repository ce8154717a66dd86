"""Draw a picture as SVG markup for a page: small, themed, with a title on every mark.

Colours that belong to the theme are CSS variables with the printed colour as fallback. Every text
is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from analysis.plots.drawing import Boxes, Drawing, Lines, Mark, Points
from analysis.plots.style import FONT_SIZE, ROLES, SMALL, text_width


@dataclass(frozen=True, slots=True)
class _Place:
    """Where data lie in the drawing, in pixels from the top left."""

    picture: Drawing

    @property
    def frame(self) -> tuple[float, float, float, float]:
        left, right, bottom, top = self.picture.margin
        return left, self.picture.width - right, self.picture.height - bottom, top

    def x(self, value: float) -> float:
        left, right, _, _ = self.frame
        axis = self.picture.x
        return left + (value - axis.low) / (axis.high - axis.low) * (right - left)

    def y(self, value: float) -> float:
        _, _, bottom, top = self.frame
        axis = self.picture.y
        return bottom - (value - axis.low) / (axis.high - axis.low) * (bottom - top)


def draw(picture: Drawing) -> str:
    """Draw a picture.

    Args:
        picture: The picture.

    Returns:
        An ``svg`` element of its size, without scripts or references.
    """
    place = _Place(picture)
    label = escape(f"{picture.title}. {picture.caption}", quote=True)
    size = f'width="{_n(picture.width)}" height="{_n(picture.height)}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" {size} '
        f'viewBox="0 0 {_n(picture.width)} {_n(picture.height)}" '
        f'font-family="system-ui,sans-serif" font-size="{_n(SMALL)}">'
    )
    parts = [
        head,
        *_hatching(picture),
        *_axes(place),
    ]
    for mark in picture.marks:
        parts += _mark(mark, place, picture.name)
    parts += [*_legend(place), *_scale(place), "</svg>"]
    return "\n".join(parts)


def _hatching(picture: Drawing) -> Iterator[str]:
    """Yield a pattern for each colour that is hatched."""
    for color in _hatched(picture.marks):
        yield (
            f'<pattern id="{_hatch_id(picture.name, color)}" width="5" height="5" '
            'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            f'<rect width="5" height="5" fill="{_c(color)}"/>'
            f'<rect width="1.8" height="5" fill="{_c("paper")}"/></pattern>'
        )


def _hatched(marks: Sequence[Mark]) -> list[str]:
    boxes = [mark for mark in marks if isinstance(mark, Boxes) and mark.hatch]
    return sorted({color for mark in boxes for color in mark.color})


def _hatch_id(name: str, color: str) -> str:
    return f"hatch-{name}-{color.lstrip('#')}"


def _axes(place: _Place) -> Iterator[str]:
    left, right, bottom, top = place.frame
    own, other = place.picture.x, place.picture.y
    for value, text in own.ticks:
        x = place.x(value)
        if own.grid:
            yield _line(x, top, x, bottom, "grid")
        yield _text(x, bottom + 16, text, "middle", "muted")
    for value, text in other.ticks:
        y = place.y(value)
        if other.grid:
            yield _line(left, y, right, y, "grid")
        yield _text(left - 7, y + 4, text, "end", "muted")
    if own.ticks:
        yield _line(left, bottom, right, bottom, "line")
    if own.label:
        yield _text((left + right) / 2, bottom + 36, own.label, "middle", "ink", FONT_SIZE)
    if other.label:
        x, y = 14.0, (top + bottom) / 2
        turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"'
        yield _text(x, y, other.label, "middle", "ink", FONT_SIZE, turn)


def _mark(mark: Mark, place: _Place, name: str) -> Iterator[str]:
    if isinstance(mark, Lines):
        path = " ".join(
            "M" + "L".join(f"{_n(place.x(x))} {_n(place.y(y))}" for x, y in points)
            for points in mark.paths
            if points
        )
        dash = f' stroke-dasharray="{" ".join(_n(x) for x in mark.dash)}"' if mark.dash else ""
        faint = f' opacity="{_n(mark.opacity)}"' if mark.opacity < 1 else ""
        yield (
            f'<path d="{path}" fill="none" stroke="{_c(mark.color)}" '
            f'stroke-width="{_n(mark.width)}"{dash}{faint}/>'
        )
    elif isinstance(mark, Points):
        for i, (x, y, color) in enumerate(zip(mark.x, mark.y, mark.color, strict=True)):
            fill = "paper" if mark.hollow[i] else color
            at = (place.x(x), place.y(y), mark.radius[i])
            look = f'fill="{_c(fill)}" stroke="{_c(color)}" stroke-width="1.5"'
            yield _shape(mark.shape, at, look, _hint(mark.hints, i))
    elif isinstance(mark, Boxes):
        for i, ((x0, x1, y0, y1), color) in enumerate(zip(mark.sides, mark.color, strict=True)):
            a, b = sorted((place.x(x0), place.x(x1)))
            c, d = sorted((place.y(y0), place.y(y1)))
            fill = f"url(#{_hatch_id(name, color)})" if mark.hatch else _c(color)
            yield (
                f'<rect x="{_n(a)}" y="{_n(c)}" width="{_n(b - a)}" height="{_n(d - c)}" '
                f'fill="{fill}" stroke="{_c("paper")}" stroke-width="0.5">'
                f"{_hint(mark.hints, i)}</rect>"
            )
    else:
        for i, text in enumerate(mark.texts):
            x, y = place.x(mark.x[i]) + mark.dx, place.y(mark.y[i]) - mark.dy + mark.size * 0.35
            bold = ' font-weight="700"' if mark.bold and mark.bold[i] else ""
            yield _text(x, y, text, mark.anchor, mark.color[i], mark.size, bold)


def _shape(shape: str, at: tuple[float, float, float], look: str, hint: str) -> str:
    x, y, r = at
    if shape == "circle":
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" {look}>{hint}</circle>'
    turn = f' transform="rotate(45 {_n(x)} {_n(y)})"' if shape == "diamond" else ""
    box = f'x="{_n(x - r)}" y="{_n(y - r)}" width="{_n(2 * r)}" height="{_n(2 * r)}"'
    return f"<rect {box} {look}{turn}>{hint}</rect>"


def _legend(place: _Place) -> Iterator[str]:
    x = place.frame[0]
    for mark in place.picture.marks:
        name = getattr(mark, "name", "")
        if not name or not mark.color:
            continue
        if isinstance(mark, Lines):
            dash = f' stroke-dasharray="{" ".join(_n(v) for v in mark.dash)}"' if mark.dash else ""
            yield (
                f'<path d="M{_n(x)} 11H{_n(x + 18)}" stroke="{_c(mark.color)}" '
                f'stroke-width="{_n(max(mark.width, 1.5))}"{dash}/>'
            )
        elif isinstance(mark, Points):
            color = mark.color[0]
            fill = "paper" if mark.hollow[0] else color
            look = f'fill="{_c(fill)}" stroke="{_c(color)}" stroke-width="1.5"'
            yield _shape(mark.shape, (x + 9, 11, 4.5), look, "")
        elif isinstance(mark, Boxes):
            color = mark.color[0]
            fill = f"url(#{_hatch_id(place.picture.name, color)})" if mark.hatch else _c(color)
            yield f'<rect x="{_n(x)}" y="5" width="18" height="12" fill="{fill}"/>'
        yield _text(x + 24, 15, name, "start", "ink")
        x += 24 + text_width(name, SMALL) + 16


def _scale(place: _Place) -> Iterator[str]:
    scale = place.picture.scale
    if scale is None:
        return
    width = 120.0
    left = place.picture.width - width - 46
    name = f"scale-{place.picture.name}"
    stops = "".join(
        f'<stop offset="{i / 8}" stop-color="'
        f'{scale.color(scale.low + (scale.high - scale.low) * i / 8)}"/>'
        for i in range(9)
    )
    yield f'<linearGradient id="{name}">{stops}</linearGradient>'
    yield f'<rect x="{_n(left)}" y="4" width="{_n(width)}" height="9" fill="url(#{name})"/>'
    yield _text(left - 6, 13, f"{scale.label}: {scale.low:+.1f}", "end", "muted")
    yield _text(left + width + 6, 13, f"{scale.high:+.1f}", "start", "muted")


def _text(
    x: float, y: float, text: str, anchor: str, color: str, size: float = SMALL, more: str = ""
) -> str:
    big = f' font-size="{_n(size)}"' if size != SMALL else ""
    at = f'x="{_n(x)}" y="{_n(y)}"'
    look = f'text-anchor="{anchor}" fill="{_c(color)}"{big}{more}'
    return f"<text {at} {look}>{escape(text)}</text>"


def _line(x0: float, y0: float, x1: float, y1: float, color: str) -> str:
    return f'<path d="M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}" stroke="{_c(color)}" stroke-width="1"/>'


def _hint(hints: Sequence[str], index: int) -> str:
    return f"<title>{escape(hints[index])}</title>" if hints else ""


def _c(color: str) -> str:
    return f"var(--{color},{ROLES[color]})" if color in ROLES else color


def _n(value: Any) -> str:
    """Write a number of pixels with a tenth, as short as it goes."""
    return f"{value:.1f}".removesuffix(".0")
