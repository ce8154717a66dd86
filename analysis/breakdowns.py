"""Gains by language family, morphological type, level of resources and script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.intervals import Estimate, Noise, estimate_crossed, pool_noise, student
from analysis.observations import NO_INTERMEDIATE, by_target, language_observations
from analysis.statistics import leaderboard
from spaces.languages import Property, group_of
from spaces.tables import Column

#: Stands for languages that the language table has no group for.
UNKNOWN = "unknown"

BREAKDOWN = (
    Column("target", "string", "", "Name of the target task."),
    Column("sequence", "string", "", "The sequence whose gain it is."),
    Column("selected_on", "bool", "", "Whether the search chose by these scores."),
    Column("property", "string", "", "In what respect languages are grouped."),
    Column("group", "string", "", "The group; `unknown` if the language table has none."),
    Column("gain", "float64", "points", "Mean over languages and seeds, over none."),
    Column("gain_low", "float64", "points", "Lower end of its interval; NaN with one seed."),
    Column("gain_high", "float64", "points", "Upper end."),
    Column("rest", "float64", "points", "Gain of the group less that of all other languages."),
    Column("rest_low", "float64", "points", "Lower end of its interval; NaN with one language."),
    Column("rest_high", "float64", "points", "Upper end."),
    Column("num_languages", "int64", "", "Languages of the group."),
    Column("num_seeds", "int64", "", "Seeds that the sequence shares with no intermediate task."),
)


def language_breakdown(
    source: Run | Runs,
    by: Property = "family",
    target: str | None = None,
    *,
    sequences: Sequence[str] | None = None,
    exclude: Sequence[str] = ("en",),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the gain of sequences in each group of languages.

    The gain in a language under a seed is the score of the sequence less that of no intermediate
    task. Languages and seeds are both taken as samples: a seed helps or harms all languages
    alike, so languages alone would make an interval too narrow (``intervals.estimate_crossed``);
    the noise of the seeds is that of all repeated sequences in the group's languages, pooled.
    ``rest`` compares languages within a model, so that what a seed does to all of them cancels:
    Welch's t over the languages.

    Args:
        source: A run, or several.
        by: ``family``, ``genus``, ``morphology``, ``resources`` or ``script``, as in
            ``spaces/languages.yaml``.
        target: Only this target; all of them when ``None``.
        sequences: These sequences; when ``None``, the best of each target in the leaderboard (the
            empty one does not count).
        exclude: Languages left out: those that the targets train in, where nothing is transferred.
        confidence: Coverage of each interval.

    Returns:
        The columns of ``BREAKDOWN``, one row per target, sequence, kind of data and group, the
        largest gain first.

    Raises:
        UnknownNameError: Nothing has that target.

    Source: Welch 1947, Biometrika 34(1); Satterthwaite 1946, Biometrics Bulletin 2(6).
    """
    found = language_observations(source, target, fresh_only=True)
    found = found[~found["language"].isin(exclude)]
    board = leaderboard(source, average=False)
    board = board[board["baseline"] != NO_INTERMEDIATE]
    best = board.drop_duplicates([*(["run"] if "run" in board else []), "target"])
    rows: list[dict[str, Any]] = []
    for names, part in by_target(found, "selected_on"):
        chosen = sequences
        if chosen is None:
            mine = best["target"] == names["target"]
            if "run" in names:
                mine &= best["run"] == names["run"]
            chosen = list(best.loc[mine, "sequence"])
        groups = part["language"].map(lambda code: group_of(code, by) or UNKNOWN)
        noise = {
            str(group): pool_noise(_means(inside)).difference
            for group, inside in part.groupby(groups)
        }
        for sequence in chosen:
            gains = _gains(part, sequence)
            by_group = _by_group(gains, by, noise, confidence)
            rows += [{**names, "sequence": sequence, "property": by, **row} for row in by_group]
    return tidy(rows, BREAKDOWN)


def _means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each sequence and seed, averaged over languages and splits."""
    return scores.groupby(["sequence", "seed"], as_index=False).agg(score=("score", "mean"))


def _gains(scores: pd.DataFrame, sequence: str) -> pd.DataFrame:
    """Return the gains of a sequence: a row a language, a column a seed that both have."""
    keys = ["language", "seed"]
    own = scores[scores["sequence"] == sequence].groupby(keys)["score"].mean()
    none = scores[scores["baseline"] == NO_INTERMEDIATE].groupby(keys)["score"].mean()
    table = (own - none).dropna().unstack("seed")
    # A language that lacks a seed would weigh it differently from the others.
    return table.dropna(axis=0) if not table.empty else table


def _by_group(
    gains: pd.DataFrame, by: Property, noise: Mapping[str, Noise], confidence: float
) -> list[dict[str, Any]]:
    groups = pd.Series([group_of(str(code), by) or UNKNOWN for code in gains.index], dtype="str")
    values = gains.to_numpy(dtype=float)
    rows = []
    for group in sorted(groups.unique()):
        inside = (groups == group).to_numpy()
        gain = estimate_crossed(values[inside], confidence, noise[group])
        rest = _welch(values[inside].mean(axis=1), values[~inside].mean(axis=1), confidence)
        rows.append(
            {
                "group": group,
                **gain.as_columns("gain"),
                **rest.as_columns("rest"),
                "num_languages": int(inside.sum()),
                "num_seeds": values.shape[1],
            }
        )
    return sorted(rows, key=lambda row: (-float(row["gain"]), str(row["group"])))


def _welch(first: Any, second: Any, confidence: float) -> Estimate:
    """Estimate the difference of two means by Welch's t."""
    if not len(first) or not len(second):
        return Estimate()
    difference = float(first.mean() - second.mean())
    if len(first) < 2 or len(second) < 2:
        return Estimate(mean=difference)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    total = sum(parts)
    spread = parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1)
    degrees = total**2 / spread if spread else float(len(first) + len(second) - 2)
    return student(difference, math.sqrt(total), degrees, confidence)
