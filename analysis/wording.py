"""How names, numbers and durations are written for people."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from analysis.observations import ALL_AT_ONCE
from spaces.sequences import STAGE_SEPARATOR

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}


def spell(sequence: str, baseline: str = "") -> str:
    """Write a sequence for people.

    >>> spell("mnli>squad1")
    'mnli > squad1'
    >>> spell("")
    'no intermediate task'
    >>> spell("a+b", baseline="all")
    'all tasks at once (a+b)'
    """
    if not sequence:
        return "no intermediate task"
    name = f" {STAGE_SEPARATOR} ".join(clean(part) for part in sequence.split(STAGE_SEPARATOR))
    return f"all tasks at once ({name})" if baseline == ALL_AT_ONCE else name


def clean(text: object) -> str:
    r"""Put run-supplied text on one line, without control characters.

    >>> clean("a\x1b[31m\nb")
    'a [31m b'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def duration(seconds: float) -> str:
    """Write a duration for people.

    >>> duration(7.4), duration(200), duration(8000), duration(200000)
    ('7 s', '3 min 20 s', '2 h 13 min', '2 d 7 h')
    """
    if math.isnan(seconds):
        return "unknown"
    whole = round(seconds)
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts: list[str] = []
    for size, unit in units:
        amount, whole = divmod(whole, size)
        if amount or (parts and len(parts) < 2):
            parts.append(f"{amount} {unit}" if amount else "")
    return " ".join(part for part in parts[:2] if part) or "0 s"


def number(value: float, *, sign: bool = False) -> str:
    """Write points with one decimal; a dash where there are none."""
    if math.isnan(value):
        return "-"
    return f"{value:+.1f}" if sign else f"{value:.1f}"


def plus_minus(row: Mapping[Any, Any], name: str, *, sign: bool = False) -> str:
    """Write an estimate and half its interval; the estimate alone where it has none.

    Args:
        row: With ``name`` and its ``_low`` and ``_high``.
        name: The estimate.
        sign: Whether a plus is written.

    >>> plus_minus({"gain": 2.0, "gain_low": 0.5, "gain_high": 3.5}, "gain", sign=True)
    '+2.0 +- 1.5'
    """
    text = number(row[name], sign=sign)
    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return text if math.isnan(half) else f"{text} +- {number(half)}"


def p_value(p: float) -> str:
    """Write a p-value; a dash where there is none.

    >>> p_value(0.0002), p_value(0.0321)
    ('< 0.001', '0.032')
    """
    return "-" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """Write a p-value behind ``p`` in a sentence.

    >>> p_equals(0.0002), p_equals(0.0321)
    ('p < 0.001', 'p = 0.032')
    """
    written = p_value(p)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def escape_markdown(text: str) -> str:
    r"""Escape what Markdown or HTML in it would read as markup.

    >>> escape_markdown("a_b <i> | c")
    'a\\_b &lt;i&gt; \\| c'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", text)


def escape_latex(text: str) -> str:
    r"""Escape what LaTeX in it would read as markup.

    >>> escape_latex("a_b > 5 % of $x")
    'a\\_b \\textgreater{} 5 \\% of \\$x'
    """
    return "".join(_LATEX.get(character, character) for character in text)
