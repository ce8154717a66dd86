"""Writes frames to files: Parquet or CSV, with a table of what every column is."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Literal, get_args

import fsspec
import pandas as pd

from analysis.columns import describe_columns
from spaces.errors import InputError
from spaces.tables import HYPERPARAMETER_PREFIX, TABLES

Format = Literal["parquet", "csv"]


def export_frames(
    frames: Mapping[str, pd.DataFrame], folder: str | os.PathLike[str], kind: Format = "parquet"
) -> list[str]:
    """Write frames, one file each, and ``columns.csv``, which says what their columns are.

    Parquet keeps the types. In CSV text is quoted where it must be, points in time are ISO 8601
    in UTC, and NaN and null are empty, as an empty sequence is: read text columns with
    ``keep_default_na=False``.

    Args:
        frames: Frames by the name of their file.
        folder: A folder or fsspec URL; files of the same names in it are replaced.
        kind: ``parquet`` or ``csv``.

    Returns:
        The files' paths.

    Raises:
        InputError: Another kind, or ``folder`` is a file.
    """
    if kind not in get_args(Format):
        raise InputError(f"format {kind!r}: is none of {', '.join(get_args(Format))}")
    fs, root = fsspec.core.url_to_fs(os.fspath(folder))
    if fs.exists(root) and not fs.isdir(root):
        raise InputError(f"{os.fspath(folder)}: is a file. Give a folder.")
    fs.makedirs(root, exist_ok=True)
    written = []
    for name, frame in {**frames, "columns": _columns(frames)}.items():
        as_csv = kind == "csv" or name == "columns"
        buffer = io.BytesIO()
        if as_csv:
            frame.to_csv(buffer, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        else:
            frame.to_parquet(buffer, index=False)
        path = f"{root.rstrip('/')}/{name}.{'csv' if as_csv else 'parquet'}"
        fs.pipe_file(path, buffer.getvalue())
        written.append(path)
    return written


def _columns(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for table, frame in frames.items():
        declared = describe_columns(TABLES.get(table, ())).set_index("name")
        rows = declared.reindex(list(map(str, frame.columns))).fillna("").reset_index()
        own = rows["name"].str.startswith(HYPERPARAMETER_PREFIX)
        rows.loc[own, "meaning"] = "Hyperparameter."
        rows.loc[rows["name"] == "run", "meaning"] = "Name of the run."
        rows.loc[rows["kind"] == "", "kind"] = [
            str(frame[name].dtype) for name in rows.loc[rows["kind"] == "", "name"]
        ]
        rows.insert(0, "table", table)
        parts.append(rows)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
