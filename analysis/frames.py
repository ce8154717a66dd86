"""The frames of a run, or of several: the sole reader of run directories."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.columns import DTYPES, empty_frame, typed_frame
from analysis.export import Format, export_frames
from analysis.reading import Problem, read_run
from spaces.errors import InputError, RunDirectoryError
from spaces.tables import TABLES

__all__ = [
    "DTYPES",
    "Problem",
    "Run",
    "Runs",
    "empty_frame",
    "load_run",
    "load_runs",
    "typed_frame",
]


@dataclass(frozen=True, slots=True)
class Run:
    """One run, read at one moment; a live run has to be loaded again to see more.

    Attributes:
        path: The run directory. Of a run that is not on a local disk, its path there.
        study: The resolved study as plain data, the versions of everything included.
        trials: One row per trial.
        scores: One row per trial, rung, language, split and metric.
        stages: One row per checkpoint of the stage store.
        rungs: One row per report of a trial at a rung.
        location: The folder or URL it was read from.
        finished: Whether the driver noted that nothing was left to run.
        problems: What is not sound about it: missing or damaged tables, columns that an older run
            lacks. What could not be read is not in the frames.

    The columns of each frame, with dtype, unit and meaning, are ``spaces.tables.TABLES``;
    ``trials`` also has one ``hp.<name>`` column per hyperparameter.
    """

    path: Path
    study: Mapping[str, Any]
    trials: pd.DataFrame
    scores: pd.DataFrame
    stages: pd.DataFrame
    rungs: pd.DataFrame
    location: str = ""
    finished: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        """Name of the study, or of the folder when the study has none."""
        return str(self.study.get("name") or self.path.name)

    def export(self, folder: str | os.PathLike[str], format: Format = "parquet") -> list[str]:  # noqa: A002
        """Write the frames to files, with a ``columns.csv`` that says what each column is.

        Args:
            folder: A folder or fsspec URL; files of the same names in it are replaced.
            format: ``parquet`` or ``csv``.

        Returns:
            The files' paths.

        Raises:
            InputError: Another format, or ``folder`` is a file.
        """
        return export_frames(_frames(self), folder, format)


@dataclass(frozen=True, slots=True)
class Runs:
    """Several runs side by side.

    Attributes:
        runs: The runs by name.
        trials, scores, stages, rungs: As in ``Run``, with the column ``run`` first. A trial's
            number is unique within its run alone.
    """

    runs: Mapping[str, Run]
    trials: pd.DataFrame = field(init=False)
    scores: pd.DataFrame = field(init=False)
    stages: pd.DataFrame = field(init=False)
    rungs: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        for table in TABLES:
            parts = [_named(getattr(run, table), name) for name, run in self.runs.items()]
            joined = pd.concat(parts or [_named(empty_frame(table), "")], ignore_index=True)
            object.__setattr__(self, table, joined)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs.values())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is not sound about any of them."""
        return tuple(problem for run in self for problem in run.problems)

    def export(self, folder: str | os.PathLike[str], format: Format = "parquet") -> list[str]:  # noqa: A002
        """Write the frames to files, as ``Run.export`` does."""
        return export_frames(_frames(self), folder, format)

    def pooled(self) -> Run:
        """Put runs of one study together, as though they were one run; seeds stay as they are.

        Trials are numbered anew. Two trials of one sequence, target, seed and setting count as
        one, with the mean of their scores.

        Raises:
            InputError: The runs differ in something that changes scores (model, training, target,
                what they selected on, a stage): they cannot be compared seed by seed.
        """
        runs = list(self)
        if not runs:
            raise InputError("no run to pool; load_runs was given none")
        for name, run in self.runs.items():
            for key in _ALIKE:
                if run.study.get(key) != runs[0].study.get(key):
                    raise InputError(
                        f"run {name!r} has another {key!r} than run {next(iter(self.runs))!r}, so "
                        "their scores are of different things. Pool runs of one study only, or "
                        "compare them by the column `run`."
                    )
        tables: dict[str, pd.DataFrame] = {}
        shifts = pd.Series([len(run.trials) and run.trials["trial_id"].max() + 1 for run in runs])
        first = shifts.cumsum().shift(fill_value=0)
        for table in TABLES:
            parts = [getattr(run, table) for run in runs]
            if "trial_id" in parts[0]:
                parts = [
                    part.assign(trial_id=part["trial_id"] + int(shift))
                    for part, shift in zip(parts, first, strict=True)
                ]
            tables[table] = pd.concat(parts, ignore_index=True)
        return Run(
            runs[0].path,
            runs[0].study,
            **tables,
            location=runs[0].location,
            finished=all(run.finished for run in runs),
            problems=self.problems,
        )


#: What runs must have in common to be pooled.
_ALIKE = ("model", "training", "select_on", "objective", "targets")


def load_run(
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Run:
    """Load the tables of a run: finished or not, live, damaged, or of an older version.

    Args:
        path: The run directory, ``runs/demo`` for instance, or an fsspec URL of one
            (``s3://bucket/runs/demo``, which needs the package s3fs).
        strict: Refuse a run of which anything is missing or damaged.
        storage_options: Arguments of the fsspec filesystem, credentials for instance.

    Returns:
        The run; its frames have every declared column with its dtype, even without rows, and
        ``problems`` says what could not be read.

    Raises:
        RunDirectoryError: No such folder, or not a run directory; or, if ``strict``, a file that
            is missing or damaged; the message names the file, the rule and the remedy.
    """
    location = os.fspath(path)
    found = read_run(location, storage_options)
    if strict:
        for problem in found.problems:
            if problem.kind in ("missing", "damaged"):
                raise RunDirectoryError(str(problem))
    is_local = "://" not in location or location.startswith("file://")
    return Run(
        Path(location.removeprefix("file://") if is_local else location.partition("://")[2]),
        found.study,
        **found.tables,
        location=location,
        finished=found.finished,
        problems=found.problems,
    )


def load_runs(
    paths: Iterable[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]],
    *,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> Runs:
    """Load several runs; their frames have a column ``run``.

    Args:
        paths: Run directories, or a mapping from the names the runs shall have to directories.
            Without names, a run goes by its study's name, or by its path where two share one.
        strict: As in ``load_run``.
        storage_options: As in ``load_run``.

    Raises:
        RunDirectoryError: As ``load_run``.
    """
    if isinstance(paths, Mapping):
        named = {
            str(name): load_run(path, strict=strict, storage_options=storage_options)
            for name, path in paths.items()
        }
        return Runs(named)
    runs = [load_run(path, strict=strict, storage_options=storage_options) for path in paths]
    shared = Counter(run.name for run in runs)
    return Runs({run.name if shared[run.name] == 1 else run.location: run for run in runs})


def _named(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    named = frame.copy(deep=False)
    named.insert(0, "run", pd.Series(name, index=frame.index, dtype="str"))
    return named


def _frames(source: Run | Runs) -> dict[str, pd.DataFrame]:
    return {table: getattr(source, table) for table in TABLES}
