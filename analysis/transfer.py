"""The transfer matrix: what each intermediate task alone gains, by target and by language."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.intervals import adjust_holm, estimate_mean, pool_noise
from analysis.observations import (
    Source,
    by_target,
    language_observations,
    observations,
)
from spaces.sequences import TASK_SEPARATOR
from spaces.tables import Column

#: The sequence of no stage.
NONE = ""

_TARGET = Column("target", "string", "", "Name of the target task, or `average`.")
_GAIN = (
    Column("task", "string", "", "The intermediate task, trained alone before the target."),
    Column("score", "float64", "points", "Its mean over the seeds that it shares with none."),
    Column("score_none", "float64", "points", "Of no intermediate task, over the same seeds."),
    Column("gain", "float64", "points", "The difference."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN below two seeds."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("p", "float64", "", "Two-sided p-value of no gain, alone."),
    Column("p_holm", "float64", "", "The same, adjusted (Holm) for all rows of the target."),
    Column("num_pairs", "int64", "", "Seeds that both have."),
)

TRANSFER = (_TARGET, *_GAIN)
LANGUAGE_TRANSFER = (
    _TARGET,
    Column("language", "string", "", "Language code of the evaluation set."),
    Column("split", "string", "", "Evaluation split: dev or test."),
    Column("selected_on", "bool", "", "Whether the search chose by this score."),
    *_GAIN,
)


def transfer_matrix(
    source: Source,
    target: str | None = None,
    *,
    confidence: float = 0.95,
    average: bool | None = None,
) -> pd.DataFrame:
    """Estimate the gain of each intermediate task alone over no intermediate task.

    ``gain = mean over seeds of score(task) - score(none)``, both under the same seed. The interval
    is Student's t with the noise of all repeated sequences of the target pooled.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of each interval.
        average: Whether to add the average over targets; when ``None``, if it is the objective.

    Returns:
        The columns of ``TRANSFER``, one row per target and task, the best first.

    Raises:
        UnknownNameError: Nothing has that target.

    Source: the matrix of Phang et al. 2020, arXiv:2005.13013, table 2.
    """
    found = observations(source, target, average=average)
    rows = [
        {**names, **row}
        for names, part in by_target(found)
        for row in _of_single_tasks(part, confidence)
    ]
    return tidy(_ordered(rows), TRANSFER)


def language_transfer(
    source: Run | Runs, target: str | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Estimate the gain of each intermediate task alone in each language.

    Args:
        source: A run, or several.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of each interval; the noise is that of the target in that language.

    Returns:
        The columns of ``LANGUAGE_TRANSFER``, one row per target, evaluation set and task.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    found = language_observations(source, target)
    keys = ("language", "split", "selected_on")
    rows = [
        {**names, **row}
        for names, part in by_target(found, *keys)
        for row in _of_single_tasks(part, confidence)
    ]
    return tidy(_ordered(rows), LANGUAGE_TRANSFER)


def gains_over_none(
    scores: pd.DataFrame, sequences: Iterable[str], confidence: float
) -> list[dict[str, Any]]:
    """Estimate what sequences gain over no intermediate task, under the same seeds.

    Args:
        scores: Observations of one target.
        sequences: The sequences; one that shares no seed with none is left out.
        confidence: Coverage of each interval; the noise of all repeated sequences is pooled.

    Returns:
        Rows of ``sequence``, ``score``, ``score_none``, ``gain`` with its interval, ``p`` and
        ``num_pairs``.
    """
    table = scores.pivot_table(index="seed", columns="sequence", values="score")
    if NONE not in table:
        return []
    noise = pool_noise(scores).difference
    rows = []
    for sequence in sequences:
        both = table[[sequence, NONE]].dropna()
        found = estimate_mean(both[sequence] - both[NONE], confidence, noise)
        if found.num:
            rows.append(
                {
                    "sequence": sequence,
                    "score": both[sequence].mean(),
                    "score_none": both[NONE].mean(),
                    **found.as_columns("gain"),
                    "p": found.p,
                    "num_pairs": found.num,
                }
            )
    return rows


def _of_single_tasks(scores: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """Return the gains of the tasks that were trained alone, the best first."""
    single = scores.loc[scores["num_stages"] == 1, "sequence"].unique()
    tasks = sorted(name for name in single if TASK_SEPARATOR not in name)
    rows = [{**row, "task": row["sequence"]} for row in gains_over_none(scores, tasks, confidence)]
    return sorted(rows, key=lambda row: (-float(row["gain"]), str(row["task"])))


def _ordered(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows with ``p_holm``, over the rows of each target (of each run)."""
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    keys = [name for name in ("run", "target") if name in frame]
    frame["p_holm"] = float("nan")
    for _, part in frame.groupby(keys):
        frame.loc[part.index, "p_holm"] = adjust_holm(part["p"])
    return frame
