"""How much the search flatters what it picked: fresh seeds and data it did not select on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.columns import tidy
from analysis.frames import Run, Runs
from analysis.intervals import Estimate, Noise, estimate_mean, pool_noise, student
from analysis.observations import (
    NO_INTERMEDIATE,
    by_target,
    language_observations,
    observations,
)
from spaces.tables import Column

SELECTION = (
    Column("target", "string", "", "Name of the target task."),
    Column("sequence", "string", "", "A sequence that the search picked and confirmed."),
    Column("gain_selected", "float64", "points", "Gain on the seed and data it was picked by."),
    Column("gain_fresh", "float64", "points", "Gain on fresh seeds, the same data."),
    Column("gain_fresh_low", "float64", "points", "Lower end of its interval."),
    Column("gain_fresh_high", "float64", "points", "Upper end."),
    Column("optimism", "float64", "points", "What picking by that seed flattered it by."),
    Column("optimism_low", "float64", "points", "Lower end of its interval."),
    Column("optimism_high", "float64", "points", "Upper end."),
    Column("gain_held_out", "float64", "points", "Gain on fresh seeds and data not selected on."),
    Column("gain_held_out_low", "float64", "points", "Lower end of its interval."),
    Column("gain_held_out_high", "float64", "points", "Upper end."),
    Column("num_selected", "int64", "", "Seeds that it was picked by and that none has too."),
    Column("num_fresh", "int64", "", "Fresh seeds that it shares with no intermediate task."),
)


def selection_bias(
    source: Run | Runs,
    target: str | None = None,
    *,
    exclude: Sequence[str] = ("en",),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare what sequences gained when they were picked with what they gain on fresh ground.

    The best of many trials was in part lucky: its score on the seed it was picked by is too high
    (the winner's curse). Fresh seeds take the luck of the seed away; evaluation sets that the
    search did not choose by take away what was fitted to the development sets as well. Gains are
    over no intermediate task under the same seed; ``optimism = gain_selected - gain_fresh``.

    Args:
        source: A run, or several.
        target: Only this target; all of them when ``None``.
        exclude: Languages that do not count as held-out data: those that the targets train in.
        confidence: Coverage of the intervals.

    Returns:
        The columns of ``SELECTION``, one row per target and sequence that was confirmed, the best
        on fresh seeds first. ``gain_held_out`` is NaN where every evaluation set was selected on.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    held_out = _held_out(source, exclude)
    rows: list[dict[str, Any]] = []
    for names, part in by_target(observations(source, target, average=False)):
        others = held_out
        for name, value in names.items():
            others = others[others[name] == value]
        rows += [{**names, **row} for row in _compare(part, others, confidence)]
    return tidy(rows, SELECTION)


def _held_out(source: Run | Runs, exclude: Sequence[str]) -> pd.DataFrame:
    """Return scores averaged over the evaluation sets that were not selected on."""
    found = language_observations(source)
    found = found[~found["selected_on"] & ~found["language"].isin(exclude)]
    keys = [*(["run"] if "run" in found else []), "target", "sequence", "baseline", "seed"]
    return found.groupby(keys, as_index=False).agg(score=("score", "mean"))


def _compare(
    scores: pd.DataFrame, held_out: pd.DataFrame, confidence: float
) -> list[dict[str, Any]]:
    gains, others = _gains(scores), _gains(held_out)
    noise, other_noise = pool_noise(scores).difference, pool_noise(held_out).difference
    phase = scores.set_index(["sequence", "seed"])["phase"]
    references = set(scores.loc[scores["baseline"] != "", "sequence"])
    rows = []
    for name in sorted(set(scores.loc[scores["phase"] == "confirm", "sequence"]) - references):
        own = gains[name].dropna() if name in gains else pd.Series(dtype="float64")
        is_fresh = phase[name].reindex(own.index) == "confirm"
        picked, fresh = own[~is_fresh], own[is_fresh]
        outside = others[name].reindex(fresh.index).dropna() if name in others else []
        found = estimate_mean(fresh, confidence, noise)
        rows.append(
            {
                "sequence": name,
                "gain_selected": picked.mean() if len(picked) else math.nan,
                **found.as_columns("gain_fresh"),
                **_optimism(picked, fresh, noise, confidence).as_columns("optimism"),
                **estimate_mean(outside, confidence, other_noise).as_columns("gain_held_out"),
                "num_selected": len(picked),
                "num_fresh": len(fresh),
            }
        )
    return sorted(rows, key=lambda row: (-row["gain_fresh"], row["sequence"]))


def _gains(scores: pd.DataFrame) -> pd.DataFrame:
    """Return gains over no intermediate task: a row a seed, a column a sequence."""
    table = scores.pivot_table(index="seed", columns="sequence", values="score")
    none = scores.loc[scores["baseline"] == NO_INTERMEDIATE, "sequence"].unique()
    if not len(none):
        return pd.DataFrame()
    return table.sub(table[none[0]], axis=0)


def _optimism(picked: Any, fresh: Any, noise: Noise, confidence: float) -> Estimate:
    if not len(picked) or not len(fresh):
        return Estimate()
    error = noise.sd * math.sqrt(1 / len(picked) + 1 / len(fresh))
    return student(picked.mean() - fresh.mean(), error, noise.degrees, confidence)
