"""Statistics as tables of a paper or a page: LaTeX and Markdown, escaped and rounded."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec
import numpy as np
import pandas as pd

from analysis.wording import clean, escape_latex, escape_markdown, p_value, spell
from spaces.errors import InputError

#: Columns that hold sequences, or a prefix or stage of one.
_SEQUENCES = ("sequence", "reference")
_P_VALUES = ("p", "p_holm", "p_adjusted")
_MINUS = re.compile(r"-(?=\d)")
_SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".parquet": "parquet"}


def to_markdown(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    decimals: int = 1,
    intervals: bool = True,
) -> str:
    r"""Write a frame as a Markdown table.

    Args:
        frame: Any statistic; the names in it are escaped.
        columns: Which columns, in this order; all when ``None``.
        decimals: Of numbers in points and the like; shares and correlations get two more.
        intervals: Whether ``x``, ``x_low`` and ``x_high`` become one cell, ``1.2 [0.3, 2.1]``.

    Returns:
        The table, with a last line break. NaN is a dash; a p-value below 0.001 is ``< 0.001``.

    Raises:
        InputError: There is no such column.

    >>> frame = pd.DataFrame({"task": ["a|b"], "x": [1.25], "x_low": [0.5], "x_high": [2.0]})
    >>> print(to_markdown(frame), end="")
    | task | x |
    | --- | ---: |
    | a\|b | 1.2 \[0.5, 2.0\] |
    """
    texts, is_number = _texts(frame, columns, decimals, intervals)
    header = [escape_markdown(name) for name in texts]
    rule = ["---:" if is_number[name] else "---" for name in texts]
    rows = [[escape_markdown(text) for text in row] for row in zip(*texts.values(), strict=True)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))


def to_latex(
    frame: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    decimals: int = 1,
    intervals: bool = True,
    caption: str | None = None,
    label: str | None = None,
) -> str:
    r"""Write a frame as a LaTeX table, for ``\usepackage{booktabs}`` and T1 fonts.

    Args:
        frame: As in ``to_markdown``.
        columns: As in ``to_markdown``.
        decimals: As in ``to_markdown``.
        intervals: As in ``to_markdown``.
        caption: Caption of the table; escaped.
        label: Label for ``\ref``, as it is.

    Returns:
        A ``tabular``; within a ``table`` if there is a caption or label.

    Raises:
        InputError: There is no such column.
    """
    texts, is_number = _texts(frame, columns, decimals, intervals)
    escaped = {}
    for name, cells in texts.items():
        written = [escape_latex(text) for text in cells]
        if is_number[name]:
            written = [_MINUS.sub("$-$", text) for text in written]
        escaped[escape_latex(name)] = written
    return pd.DataFrame(escaped).to_latex(
        index=False,
        escape=False,
        column_format="".join("r" if is_number[name] else "l" for name in texts),
        caption=None if caption is None else escape_latex(caption),
        label=label,
    )


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str], **how: Any) -> None:
    """Write a frame to a file, in the format of its suffix.

    Args:
        frame: Any statistic.
        path: A file or fsspec URL that ends in ``.md``, ``.tex``, ``.csv`` or ``.parquet``; its
            folder is made.
        how: As in ``to_markdown`` or ``to_latex``. The others keep every digit and column.

    Raises:
        InputError: Another suffix.
    """
    location = os.fspath(path)
    kind = _SUFFIXES.get(os.path.splitext(location)[1].lower())  # noqa: PTH122  (also a URL)
    if kind is None:
        raise InputError(f"{location}: a table ends in {', '.join(_SUFFIXES)}")
    fs, place = fsspec.core.url_to_fs(location)
    fs.makedirs(fs._parent(place), exist_ok=True)
    if kind == "parquet":
        with fs.open(place, "wb") as file:
            frame.to_parquet(file, index=False)
        return
    if kind == "csv":
        text = frame.to_csv(index=False)
    else:
        text = to_markdown(frame, **how) if kind == "markdown" else to_latex(frame, **how)
    fs.pipe_file(place, text.encode("utf-8"))


def _texts(
    frame: pd.DataFrame, columns: Sequence[str] | None, decimals: int, intervals: bool
) -> tuple[dict[str, list[str]], dict[str, bool]]:
    """Return the cells of every column under its heading, and whether it holds numbers."""
    chosen = list(map(str, frame.columns)) if columns is None else list(columns)
    for name in chosen:
        if name not in frame:
            raise InputError(f"no column {name!r}. There are {', '.join(map(str, frame.columns))}.")
    merged: set[str] = set()
    if intervals:
        merged = {
            f"{name}_{end}"
            for name in chosen
            for end in ("low", "high")
            if f"{name}_low" in frame and f"{name}_high" in frame
        }
    units: Mapping[str, str] = frame.attrs.get("units", {})
    texts: dict[str, list[str]] = {}
    is_number: dict[str, bool] = {}
    for name in chosen:
        if name in merged:
            continue
        unit = units.get(name, "")
        heading = name.replace("_", " ")
        if unit and unit not in heading:
            heading += f" ({unit})"
        digits = decimals if unit or _is_coarse(frame[name]) else decimals + 2
        texts[heading] = _cells(frame, name, digits, with_interval=f"{name}_low" in merged)
        is_number[heading] = bool(pd.api.types.is_numeric_dtype(frame[name])) and not (
            pd.api.types.is_bool_dtype(frame[name])
        )
    return texts, is_number


def _cells(frame: pd.DataFrame, name: str, digits: int, *, with_interval: bool) -> list[str]:
    values = frame[name]
    if name in _SEQUENCES:
        return [spell(str(value)) for value in values]
    if name in _P_VALUES:
        return [p_value(value) for value in values]
    cells = [_text(value, digits) for value in values]
    if with_interval:
        ends = zip(frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
        cells = [
            cell if math.isnan(low) else f"{cell} [{_text(low, digits)}, {_text(high, digits)}]"
            for cell, (low, high) in zip(cells, ends, strict=True)
        ]
    return cells


def _is_coarse(values: Any) -> bool:
    """Tell whether numbers go beyond 1, as points do and shares do not."""
    if not pd.api.types.is_float_dtype(values):
        return True
    known = np.abs(values.dropna().to_numpy(dtype=float))
    return bool(known.size and known.max() > 1)


def _text(value: Any, digits: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        # Adding 0 makes a rounded -0 a 0.
        return "-" if math.isnan(value) else f"{round(float(value), digits) + 0.0:,.{digits}f}"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return "-" if value is pd.NaT else clean(value)
