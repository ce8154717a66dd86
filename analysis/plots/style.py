"""Colours, type and number formats that all pictures share.

Colours are safe for colour-blind readers (Okabe and Ito's palette; cividis for amounts) and never
carry meaning alone: shape, hatching, dashes or printed numbers say the same in greyscale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ticker import MaxNLocator

#: Colours that follow the reader's light or dark theme on a page; on paper they are these.
ROLES: Mapping[str, str] = {
    "ink": "#1f2328",
    "muted": "#59636e",
    "line": "#9aa4af",
    "grid": "#dde2e7",
    "paper": "#ffffff",
}

#: Okabe and Ito's palette, the best told apart first; black and yellow are left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BEST, PLAIN, REFERENCE = "#D55E00", "#0072B2", "#009E73"

FONT_SIZE, SMALL = 12.0, 10.5
_CHARACTER = 0.58  # Mean width of a character of a sans-serif type, in units of its size.


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of colours for amounts: cividis, whose lightness grows with the amount.

    Attributes:
        low: Amount of the darkest colour.
        high: Amount of the lightest colour.
        label: What is measured, with its unit.
    """

    low: float
    high: float
    label: str

    def color(self, value: float) -> str:
        """Return the colour of an amount as ``#rrggbb``; a grey role where there is none."""
        if math.isnan(value):
            return "grid"
        span = self.high - self.low
        share = 0.5 if span <= 0 else (value - self.low) / span
        return str(to_hex(mpl.colormaps["cividis"](min(max(share, 0.0), 1.0))))


def scale_of(values: Iterable[float], label: str) -> Scale:
    """Return the scale that spans some amounts and 0; NaN does not count."""
    known = [value for value in values if not math.isnan(value)]
    return Scale(min([0.0, *known]), max([0.0, *known]), label)


def ink_on(color: str) -> str:
    """Return what can be read on a colour: black or white.

    >>> ink_on("#ffee00"), ink_on("#00224e")
    ('#000000', '#ffffff')
    """
    if color in ROLES:
        return "ink"
    red, green, blue = to_rgb(color)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"


def color_of(index: int) -> str:
    """Return the palette's colour for the n-th category."""
    return PALETTE[index % len(PALETTE)]


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """Estimate the width of a text in pixels."""
    return len(text) * _CHARACTER * size


def shorten(text: str, width: float, size: float = FONT_SIZE) -> str:
    """Cut a text in its middle so that it fits a width in pixels.

    >>> shorten("a>quite>long>sequence", 80)
    'a>qui…uence'
    """
    room = max(int(width / (_CHARACTER * size)), 3)
    if len(text) <= room:
        return text
    head = room // 2
    return f"{text[:head]}…{text[len(text) - (room - head - 1) :]}"


def ticks(low: float, high: float, num: int = 6) -> tuple[tuple[float, str], ...]:
    """Return round positions between two numbers, with their labels."""
    found = [
        float(x) for x in MaxNLocator(nbins=num, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ]
    kept = [x for x in found if low - 1e-9 <= x <= high + 1e-9]
    return tuple((x, f"{x:,.10g}") for x in kept)


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit that suits a span of time: its size in seconds, and its name.

    >>> time_unit(90), time_unit(90_000)
    ((1.0, 's'), (3600.0, 'h'))
    """
    for size, name, most in ((1.0, "s", 180), (60.0, "min", 10_800), (3600.0, "h", 259_200)):
        if seconds <= most:
            return size, name
    return 86_400.0, "d"


def padded(values: Iterable[float], share: float = 0.05) -> tuple[float, float]:
    """Return the range of some numbers, a little wider; NaN does not count."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = (high - low) * share or max(abs(high) * share, 0.5)
    return low - room, high + room
