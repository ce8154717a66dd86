"""Reads the files of a run directory, wherever it is and whatever state it is in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fsspec
import pandas as pd
import pyarrow as pa
import yaml
from fsspec.implementations.local import LocalFileSystem
from pyarrow import parquet

from analysis.columns import empty_frame, repaired_frame, typed_frame
from spaces.errors import RunDirectoryError
from spaces.tables import TABLES

#: Pauses before a run that is being written is read again, in seconds.
PAUSES_S = (0.1, 0.3, 0.6)

#: Of ``study.yaml``; a run of another format may hold what this version does not know.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a run that could not be taken as it is.

    Attributes:
        place: The file or table.
        kind: ``missing`` (not there), ``damaged`` (some or all of it is left out), ``filled`` (an
            older run lacks a column), ``inconsistent`` (tables contradict each other, as those of
            different moments do) or ``version``.
        message: What was found, what became of it, and the remedy.
    """

    place: str
    kind: Literal["missing", "damaged", "filled", "inconsistent", "version"]
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a run directory holds.

    Attributes:
        study: The resolved study; empty if it cannot be read.
        tables: A typed frame for every table, without rows where it cannot be read.
        finished: Whether the driver noted that nothing was left to run.
        problems: What is not sound.
    """

    study: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    finished: bool
    problems: tuple[Problem, ...]


def read_run(location: str, storage_options: Mapping[str, Any] | None = None) -> Contents:
    """Read a run directory.

    While a run goes on, its tables are replaced one after the other. They are read again, for a
    second at most, until they are of one moment; otherwise there is a problem ``inconsistent``.

    Args:
        location: A folder, or an fsspec URL.
        storage_options: Arguments of the fsspec filesystem.

    Raises:
        RunDirectoryError: There is no such folder, or it is none of a run.
    """
    files = _Files(location, storage_options or {})
    problems: list[Problem] = []
    study = _read_study(files, problems)
    for pause in (*PAUSES_S, None):
        found: list[Problem] = []
        stamps = files.stamps()
        tables = {table: _read_table(files, table, found) for table in TABLES}
        finished = files.exists("finished.json")
        contradiction = "" if found else _contradiction(tables)
        steady = files.stamps() == stamps
        if pause is None or (steady and not contradiction) or (steady and finished):
            break
        time.sleep(pause)
    if contradiction:
        found.append(Problem("tables", "inconsistent", f"{contradiction} {files.remedy}"))
    return Contents(study, tables, finished, (*problems, *found))


class _Files:
    """The files of a run directory on any filesystem."""

    def __init__(self, location: str, options: Mapping[str, Any]) -> None:
        self.location = location
        # A folder may be called anything, `a::b` too, which fsspec would take for a chain.
        try:
            found: tuple[Any, str] = (
                fsspec.core.url_to_fs(location, **options)
                if "://" in location
                else (LocalFileSystem(), str(Path(location).absolute()))
            )
        except (ImportError, ValueError) as error:
            raise RunDirectoryError(f"{location}: {error}. Or copy the run to a folder.") from None
        self._fs, self._root = found
        self.remedy = f"`taskorder resume {location}` writes the tables again."
        self._fs.invalidate_cache()
        if not any(self.exists(name) for name in ("study.yaml", *map(_file, TABLES))):
            raise RunDirectoryError(
                f"{self.path('study.yaml')}: no such file, so {location} is not a run directory. "
                "Give a folder that `taskorder launch` wrote."
                if self._is_there(self._root)
                else f"{location}: no such folder. A run directory is what `taskorder launch` "
                "writes (runs/<study name> by default); give its path."
            )

    def path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def exists(self, name: str) -> bool:
        return self._is_there(self.path(name))

    def _is_there(self, path: str) -> bool:
        # Not `exists` of fsspec: it takes a refusal for an absence.
        try:
            self._fs.info(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            # Some filesystems say so of a host that they cannot connect to.
            cause = error.__cause__
            if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
                raise self._unreachable(path, cause) from error
            return False
        except Exception as error:
            raise self._unreachable(path, error) from error
        return True

    def _unreachable(self, path: str, error: BaseException) -> RunDirectoryError:
        return RunDirectoryError(
            f"{path}: cannot be reached ({type(error).__name__}: {error}). Check the address, the "
            "connection and the credentials."
        )

    def read(self, name: str) -> bytes:
        return bytes(self._fs.cat_file(self.path(name)))

    def stamps(self) -> list[str]:
        """Return what changes when a table is replaced."""
        self._fs.invalidate_cache()
        names = (_file(table) for table in TABLES)
        return [self._fs.ukey(self.path(name)) if self.exists(name) else "" for name in names]


def _file(table: str) -> str:
    return f"tables/{table}.parquet"


def _read_study(files: _Files, problems: list[Problem]) -> Mapping[str, Any]:
    where = files.path("study.yaml")
    if not files.exists("study.yaml"):
        problems.append(Problem(where, "missing", "no such file. Restore it."))
        return {}
    try:
        study = yaml.safe_load(files.read("study.yaml").decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fault = " ".join(str(error).split())
        problems.append(Problem(where, "damaged", f"not valid YAML ({fault}). Restore the file."))
        return {}
    if not isinstance(study, dict):
        what = type(study).__name__
        message = f"a study is a mapping, not {what}. Restore the file."
        problems.append(Problem(where, "damaged", message))
        return {}
    version = (study.get("resolved") or {}).get("format", FORMAT)
    if version != FORMAT:
        message = (
            f"of format {version}, and this version of taskorder knows {FORMAT}: what it does not "
            "know is left out. Use the version named in the file."
        )
        problems.append(Problem(where, "version", message))
    return study


def _read_table(files: _Files, table: str, problems: list[Problem]) -> pd.DataFrame:
    name = _file(table)
    where = files.path(name)
    try:
        payload = files.read(name)
    except FileNotFoundError:
        problems.append(Problem(where, "missing", f"no such table. {files.remedy}"))
        return empty_frame(table)
    try:
        raw, num_rows = _sound_rows(payload)
    except (pa.ArrowException, OSError, ValueError) as error:
        message = f"cannot be read as {table}: {error}. {files.remedy}"
        problems.append(Problem(where, "damaged", message))
        return empty_frame(table)
    if len(raw) < num_rows:
        message = f"{num_rows - len(raw)} of {num_rows} rows cannot be read. {files.remedy}"
        problems.append(Problem(where, "damaged", message))
    try:
        return typed_frame(raw, table)
    except ValueError:
        pass  # Not as declared: what is sound of it is sought below, at more cost.
    try:
        frame, notes = repaired_frame(raw, table)
    except ValueError as error:
        message = f"cannot be read as {table}: {error}. {files.remedy}"
        problems.append(Problem(where, "damaged", message))
        return empty_frame(table)
    problems += [
        Problem(where, "filled" if " is missing and " in note else "damaged", f"{note}.")
        for note in notes
    ]
    return frame


def _sound_rows(payload: bytes) -> tuple[pd.DataFrame, int]:
    """Read a table, by row groups if it cannot be read at once; return also how many rows it has.

    The frame has Arrow's own memory: it is for reading, and ``typed_frame`` makes the one copy.

    Raises:
        ArrowException, OSError: It is no table, or no row group can be read.
    """
    # One file, not a dataset: a folder of partitions is not what a run directory holds.
    opened = parquet.ParquetFile(pa.BufferReader(payload))
    num_rows = opened.metadata.num_rows
    try:
        return opened.read().to_pandas(split_blocks=True), num_rows
    except (pa.ArrowException, OSError):
        if opened.num_row_groups < 2:
            raise
    sound, num_lost = [], 0
    for index in range(opened.num_row_groups):
        try:
            sound.append(opened.read_row_group(index))
        except (pa.ArrowException, OSError):
            num_lost += opened.metadata.row_group(index).num_rows
            if num_lost == num_rows:
                raise
    return pa.concat_tables(sound).to_pandas(split_blocks=True), num_rows


def _contradiction(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say how tables contradict each other, if they do: then they are of different moments."""
    trials, rungs = tables["trials"], tables["rungs"]
    highest = rungs.groupby("trial_id")["rung"].max()
    noted = trials.set_index("trial_id")["rung"]
    if not noted.index.is_unique:
        number = int(noted.index[noted.index.duplicated()][0])
        return f"trial {number} is in `trials` more than once."
    unknown = highest.index.difference(noted.index)
    if len(unknown):
        return f"`rungs` has trial {unknown[0]}, which `trials` does not have."
    found = highest.reindex(noted.index, fill_value=-1)
    differ = noted[noted != found]
    if len(differ):
        number = int(differ.index[0])
        return (
            f"`trials` has trial {number} at rung {differ.iloc[0]}, `rungs` at rung "
            f"{found.loc[number]}; {len(differ)} trials differ."
        )
    return ""
