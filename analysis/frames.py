"""The frames of a run: the sole reader of a run directory.

>>> from analysis.frames import empty_frame
>>> empty_frame("rungs").dtypes["budget_steps"]
dtype('int64')
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml
from pyarrow import parquet

from spaces.errors import RunDirectoryError
from spaces.tables import PHASES, STATES, TABLES, Column

#: pandas dtype of each kind of column. Text is ``str``; points in time are UTC, microseconds.
DTYPES: Mapping[str, Any] = {
    "string": "str",
    "int64": "int64",
    "float64": "float64",
    "bool": "bool",
    "timestamp": "datetime64[us, UTC]",
}

#: Columns whose values must be known: statistics by state or phase would drop others unseen.
_CLOSED = {("trials", "state"): STATES, ("trials", "phase"): PHASES}


@dataclass(frozen=True, slots=True)
class Run:
    """One run, read at one moment; a live run has to be loaded again to see more.

    Attributes:
        path: The run directory.
        study: The resolved study as plain data, the versions of everything included.
        trials: One row per trial.
        scores: One row per trial, rung, language, split and metric.
        stages: One row per checkpoint of the stage store.
        rungs: One row per report of a trial at a rung.

    The columns of each frame, with dtype, unit and meaning, are ``spaces.tables.TABLES``;
    ``trials`` also has one ``hp.<name>`` column per hyperparameter.
    """

    path: Path
    study: Mapping[str, Any]
    trials: pd.DataFrame
    scores: pd.DataFrame
    stages: pd.DataFrame
    rungs: pd.DataFrame

    @property
    def name(self) -> str:
        """Name of the study, or of the folder when the study has none."""
        return str(self.study.get("name") or self.path.name)


def load_run(path: str | os.PathLike[str]) -> Run:
    """Load the tables of a run, finished or not.

    Args:
        path: The run directory, ``runs/demo`` for instance.

    Returns:
        The run; its frames have every declared column with its dtype, even without rows.

    Raises:
        RunDirectoryError: No such folder, not a run directory, or a table that is missing,
            damaged or of another version; the message names the file, the rule and the remedy.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunDirectoryError(
            f"{folder}: no such folder. A run directory is what `taskorder launch` writes "
            "(runs/<study name> by default); give its path."
        )
    study = _read_study(folder / "study.yaml")
    return Run(folder, study, **{table: _read_table(folder, table) for table in TABLES})


def empty_frame(table: str) -> pd.DataFrame:
    """Return a table without rows: every declared column with its dtype.

    Args:
        table: ``trials``, ``scores``, ``stages`` or ``rungs``.
    """
    return pd.DataFrame(
        {column.name: pd.Series(dtype=DTYPES[column.kind]) for column in TABLES[table]}
    )


def typed_frame(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Put declared columns first and give them their dtypes; further columns stay as they are.

    Null text becomes empty text: that is how a table says that there is none.

    Args:
        frame: Rows of the table, with at least its declared columns.
        table: ``trials``, ``scores``, ``stages`` or ``rungs``.

    Raises:
        ValueError: A declared column is missing, or a value does not fit its column.
    """
    declared = TABLES[table]
    names = [column.name for column in declared]
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"column {missing[0]!r} is missing")
    typed = {column.name: _typed(frame[column.name], column) for column in declared}
    further = {name: frame[name] for name in frame.columns if name not in typed}
    for (owner, name), known in _CLOSED.items():
        if owner == table:
            unknown = sorted(set(typed[name]) - set(known))
            if unknown:
                raise ValueError(f"{name} {unknown[0]!r} is none of {', '.join(known)}")
    return pd.DataFrame({**typed, **further}).reset_index(drop=True)


def _typed(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    try:
        if column.kind == "timestamp":
            values = pd.to_datetime(values, utc=True)
        elif column.kind == "string":
            if values.dtype == DTYPES["string"] and not values.hasnans:
                return values
            # Through object: an all-null column comes back from Parquet without a type.
            filled = values.astype("object").where(values.notna(), "")
            return filled.map(str).astype("str")
        elif column.kind == "bool" and values.hasnans:
            raise ValueError("a flag may not be null")
        typed: pd.Series[Any] = values.astype(DTYPES[column.kind])
        return typed
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {column.name!r} is not {column.kind}: {error}") from None


def _read_study(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise RunDirectoryError(
            f"{path}: no such file, so {path.parent} is not a run directory. "
            "Give a folder that `taskorder launch` wrote."
        )
    try:
        study = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fault = " ".join(str(error).split())
        raise RunDirectoryError(f"{path}: not valid YAML ({fault}). Restore the file.") from None
    if not isinstance(study, dict):
        raise RunDirectoryError(
            f"{path}: a study is a mapping, not {type(study).__name__}. Restore the file."
        )
    return study


def _read_table(folder: Path, table: str) -> pd.DataFrame:
    path = folder / "tables" / f"{table}.parquet"
    remedy = f"`taskorder resume {folder}` writes the tables again from the Optuna storage."
    if not path.is_file():
        raise RunDirectoryError(f"{path}: no such table; a run has {', '.join(TABLES)}. {remedy}")
    try:
        # One file, not a dataset: a folder of partitions is not what a run directory holds.
        frame = parquet.ParquetFile(path).read().to_pandas()
        return typed_frame(frame, table)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RunDirectoryError(f"{path}: cannot be read as {table}: {error}. {remedy}") from None
