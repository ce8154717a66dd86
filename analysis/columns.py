"""Typed frames: declared columns, and how a table that lacks some is put right.

>>> empty_frame("rungs").dtypes["budget_steps"]
dtype('int64')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from spaces.sequences import STAGE_SEPARATOR
from spaces.tables import DECISIONS, PHASES, STATES, TABLES, Column

#: pandas dtype of each kind of column. Text is ``str``; points in time are UTC, microseconds.
DTYPES: Mapping[str, Any] = {
    "string": "str",
    "int64": "int64",
    "float64": "float64",
    "bool": "bool",
    "timestamp": "datetime64[us, UTC]",
}

#: Columns whose values must be known: statistics by them would drop others unseen.
CLOSED = {
    ("trials", "state"): STATES,
    ("trials", "phase"): PHASES,
    ("rungs", "decision"): DECISIONS,
}

#: Columns without which a row says nothing; every other one has a value that stands for "unknown".
ESSENTIAL = {
    "trials": ("trial_id", "target", "sequence", "state"),
    "scores": ("trial_id", "target", "language", "value"),
    "stages": ("fingerprint", "sequence", "steps"),
    "rungs": ("trial_id", "target", "rung", "score"),
}

#: Columns that earlier runs lack, which is no problem: they have one model and no arms, and how
#: long a rung took is shared out (``analysis.timeline``).
ADDED = {"trials": ("model", "arm"), "stages": ("model", "times_set_aside"), "rungs": ("wall_s",)}

_FILL: Mapping[str, Any] = {
    "string": "",
    "int64": 0,
    "float64": float("nan"),
    "bool": False,
    "timestamp": pd.NaT,
}
_FILL_OF: Mapping[tuple[str, str], Any] = {
    ("trials", "phase"): "search",
    ("trials", "rung"): -1,
    ("trials", "seed"): -1,
    ("rungs", "decision"): "pause",
    ("scores", "rung"): -1,
    ("scores", "headline"): True,
}


def empty_frame(table: str) -> pd.DataFrame:
    """Return a table of a run without rows: every declared column with its dtype.

    Args:
        table: ``trials``, ``scores``, ``stages`` or ``rungs``.
    """
    return tidy((), TABLES[table])


def tidy(
    rows: Iterable[Mapping[str, Any]] | pd.DataFrame, columns: Sequence[Column]
) -> pd.DataFrame:
    """Make a frame with exactly the declared columns, in their order, with their dtypes.

    Args:
        rows: Mappings from column to value, or a frame. A column ``run`` is kept and goes first.
        columns: What is declared.

    Returns:
        The frame, numbered from 0; ``attrs["units"]`` has the units of its columns.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    leading = {"run": frame["run"].astype("str").array} if "run" in frame else {}
    typed = {
        column.name: frame[column.name].astype(DTYPES[column.kind]).array
        if column.name in frame
        else pd.Series(dtype=DTYPES[column.kind]).array
        for column in columns
        if column.name in frame or frame.empty
    }
    missing = [column.name for column in columns if column.name not in typed]
    assert not missing, f"a statistic without {missing}"
    tidied = pd.DataFrame({**leading, **typed})
    tidied.attrs["units"] = {column.name: column.unit for column in columns if column.unit}
    return tidied


def describe_columns(columns: Sequence[Column]) -> pd.DataFrame:
    """Return declared columns as a frame: ``name``, ``kind``, ``unit``, ``meaning``.

    Args:
        columns: Declared columns, ``spaces.tables.TABLES["trials"]`` for instance.
    """
    names = ("name", "kind", "unit", "meaning")
    return pd.DataFrame([{name: getattr(c, name) for name in names} for c in columns], dtype="str")


def typed_frame(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Put declared columns first and give them their dtypes; further columns stay as they are.

    Null text becomes empty text: that is how a table says that there is none. A column that older
    runs do not have (``ADDED``) says so too: empty text, NaN.

    Args:
        frame: Rows of the table, with at least its declared columns.
        table: ``trials``, ``scores``, ``stages`` or ``rungs``.

    Raises:
        ValueError: A declared column is missing, or a value does not fit its column.
    """
    declared = TABLES[table]
    lacking = set(ADDED.get(table, ())) - set(frame.columns)
    frame = frame.assign(**{c.name: _FILL[c.kind] for c in declared if c.name in lacking})
    missing = [column.name for column in declared if column.name not in frame.columns]
    if missing:
        raise ValueError(f"column {missing[0]!r} is missing")
    typed = {column.name: _typed(frame[column.name], column) for column in declared}
    further = {name: frame[name] for name in frame.columns if name not in typed}
    for (owner, name), known in CLOSED.items():
        if owner == table:
            unknown = sorted(set(typed[name].unique()) - set(known))
            if unknown:
                raise ValueError(f"{name} {unknown[0]!r} is none of {', '.join(known)}")
    # A frame may be written to: pandas copies numbers here, but not points in time.
    columns = {
        name: values.copy() if isinstance(values.dtype, pd.DatetimeTZDtype) else values
        for name, values in {**typed, **further}.items()
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def repaired_frame(frame: pd.DataFrame, table: str) -> tuple[pd.DataFrame, list[str]]:
    """Type what is sound of a table, and say what was filled or left out.

    A column that is missing (an older run), or a value that does not fit, gets what stands for
    "unknown": empty text, 0 for a count, NaN, false, the rung -1; ``num_stages`` is counted from
    the sequence. A row that does not say what it is about is left out.

    Args:
        frame: Rows of the table, however damaged.
        table: ``trials``, ``scores``, ``stages`` or ``rungs``.

    Returns:
        The frame as ``typed_frame`` makes it, and one line for each thing done.

    Raises:
        ValueError: A column is missing without which no row says anything.
    """
    notes: list[str] = []
    repaired = frame.copy(deep=False)
    keep = pd.Series(True, index=frame.index)
    for column in TABLES[table]:
        essential = column.name in ESSENTIAL[table]
        if column.name not in frame.columns:
            if column.name in ADDED.get(table, ()):
                continue
            if essential:
                raise ValueError(f"column {column.name!r} is missing")
            repaired[column.name] = _filled(repaired, table, column)
            notes.append(
                f"column {column.name!r} is missing and was filled: {_filler(table, column)}"
            )
            continue
        misfits = _misfits(frame[column.name], table, column)
        if not misfits.any():
            continue
        first = frame.loc[misfits, column.name].iloc[0]
        if essential:
            keep &= ~misfits
            notes.append(
                f"{int(misfits.sum())} rows were left out: {column.name} {first!r} is not "
                f"{_rule(table, column)}"
            )
        else:
            values = frame[column.name].astype("object")
            repaired[column.name] = values.where(~misfits, _filled(repaired, table, column))
            notes.append(
                f"{int(misfits.sum())} values were filled: {column.name} {first!r} is not "
                f"{_rule(table, column)}, now {_filler(table, column)}"
            )
    return typed_frame(repaired[keep], table), notes


def _typed(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    if values.dtype == DTYPES[column.kind] and not (column.kind == "string" and values.hasnans):
        return values
    try:
        if column.kind == "timestamp":
            values = pd.to_datetime(values, utc=True)
        elif column.kind == "string":
            # Through object: an all-null column comes back from Parquet without a type.
            filled = values.astype("object").where(values.notna(), "")
            return filled.map(str).astype("str")
        elif column.kind == "bool" and values.hasnans:
            raise ValueError("a flag may not be null")
        typed: pd.Series[Any] = values.astype(DTYPES[column.kind])
        return typed
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {column.name!r} is not {column.kind}: {error}") from None


def _misfits(values: pd.Series[Any], table: str, column: Column) -> pd.Series[Any]:
    """Tell which values do not fit a column."""
    if values.dtype == DTYPES[column.kind]:
        fits = ~values.isna() if column.kind == "string" else pd.Series(True, index=values.index)
    elif column.kind in ("int64", "float64"):
        numbers = pd.to_numeric(values, errors="coerce")
        whole = numbers.notna() & (numbers % 1 == 0)
        fits = whole if column.kind == "int64" else numbers.notna() | values.isna()
    elif column.kind == "timestamp":
        fits = pd.to_datetime(values, utc=True, errors="coerce").notna() | values.isna()
    elif column.kind == "bool":
        fits = values.map(lambda value: isinstance(value, bool))
    else:
        fits = values.map(lambda value: isinstance(value, str))
    if column.kind == "string" and column.name not in ESSENTIAL[table]:
        fits |= values.isna()
    known = CLOSED.get((table, column.name))
    return ~(fits & values.isin(known)) if known else ~fits


def _filled(frame: pd.DataFrame, table: str, column: Column) -> Any:
    if (table, column.name) == ("trials", "num_stages"):
        names = frame["sequence"].astype("str")
        return names.str.count(STAGE_SEPARATOR) + (names != "")
    return _FILL_OF.get((table, column.name), _FILL[column.kind])


def _filler(table: str, column: Column) -> str:
    if (table, column.name) == ("trials", "num_stages"):
        return "counted from the sequence"
    return repr(_FILL_OF.get((table, column.name), _FILL[column.kind]))


def _rule(table: str, column: Column) -> str:
    known = CLOSED.get((table, column.name))
    return f"one of {', '.join(known)}" if known else column.kind
