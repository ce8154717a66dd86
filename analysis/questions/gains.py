"""Gains of sequences over references, language by language and seed by seed.

Symbols: g[l, j] = mu + a[l] + s[j] + e[l, j], the gain in language l under seed j; a seed may be
lucky for all languages alike (s), languages differ (a). Both are samples: the interval is for
other languages of the kind and other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import Run
from analysis.intervals import Estimate, estimate_crossed, estimate_mean, student
from analysis.observations import language_observations

#: A sequence and what it is compared with.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LanguageGains:
    """Mean gain of pairs of sequences, by language and seed.

    Attributes:
        values: `languages x seeds` (index ``language``, columns seeds), no NaN.
        pairs: The pairs that it is the mean over.
        missing: Pairs that were asked for and have no seed or language in common.
        on_dev: Languages whose development set stands in for a test set with labels.
        selected_on: Whether some of these scores chose what was run.
    """

    values: pd.DataFrame
    pairs: tuple[Pair, ...] = ()
    missing: tuple[Pair, ...] = ()
    on_dev: tuple[str, ...] = ()
    selected_on: bool = False

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that all pairs were evaluated in."""
        return tuple(str(code) for code in self.values.index)

    @property
    def num_seeds(self) -> int:
        """Seeds that both sides of all pairs have."""
        return self.values.shape[1]

    def of(self, languages: Collection[str]) -> LanguageGains:
        """Return the part that is of some languages."""
        kept = self.values.index.isin(list(languages))
        on_dev = tuple(code for code in self.on_dev if code in languages)
        return replace(self, values=self.values[kept], on_dev=on_dev)

    def estimate(self, confidence: float) -> Estimate:
        """Estimate the mean over languages and seeds (``intervals.estimate_crossed``)."""
        return estimate_crossed(self.values.to_numpy(dtype=float), confidence)

    def reason(self) -> str:
        """Say why there is no interval; empty if there is one."""
        if not self.values.size:
            return "no language was evaluated with and without under the same seed"
        if self.num_seeds < 2:
            return "one seed only"
        return ""


def language_gains(
    run: Run,
    target: str,
    pairs: Sequence[Pair],
    *,
    metric: str = "",
    exclude: Collection[str] = ("en",),
    skip: Callable[[Pair, str], bool] | None = None,
) -> LanguageGains:
    """Return the mean gain of pairs of sequences in each language under each seed.

    A language stands with its test set where that has labels, else with its development set.

    Args:
        run: The run, of one model.
        target: The target; one without a complete trial has no gains.
        pairs: Sequences and what each is compared with.
        metric: This metric alone; the task's headline metrics, averaged, when empty.
        exclude: Languages left out: those that the target trains in.
        skip: Whether a pair says nothing of a language: its gain there does not count.
    """
    if metric:
        run = replace(run, scores=run.scores[run.scores["metric"] == metric])
    found = language_observations(run)
    found = found[(found["target"] == target) & ~found["language"].isin(list(exclude))]
    # test comes after dev: the last one of a language stands.
    last = found.groupby("language")["split"].transform("max")
    found = found[found["split"] == last]
    scores = found.pivot_table(index=["sequence", "language"], columns="seed", values="score")
    there = set(scores.index.get_level_values("sequence"))
    tables: list[pd.DataFrame] = []
    used: list[Pair] = []
    missing: list[Pair] = []
    for pair in pairs:
        table = pd.DataFrame()
        if set(pair) <= there:
            table = pd.DataFrame(scores.loc[pair[0]] - scores.loc[pair[1]])
            table = table.dropna(axis=0, how="all").dropna(axis=1, how="all")
            if skip is not None:
                table = table[[not skip(pair, str(code)) for code in table.index]]
        (used if table.size else missing).append(pair)
        if table.size:
            tables.append(table)
    if not tables:
        return LanguageGains(pd.DataFrame(), missing=tuple(missing))
    # Only cells that every pair has: one that lacks a language would shift the mean of the rest.
    stacked = pd.concat(tables, keys=range(len(tables)), names=["pair", "language"])
    cells = stacked.groupby("language")
    asked = pd.Series(
        {
            code: sum(skip is None or not skip(pair, str(code)) for pair in used)
            for code in cells.groups
        }
    )
    whole = cells.count().eq(asked, axis=0)
    values = cells.mean().where(whole).dropna(axis=1, how="all").dropna(axis=0)
    mine = found[found["language"].isin(values.index)]
    dev = mine.loc[mine["split"] == "dev", "language"]
    searched = mine["sequence"].isin([pair[0] for pair in used]) & (mine["phase"] == "search")
    return LanguageGains(
        values,
        tuple(used),
        tuple(missing),
        tuple(sorted(set(dev))),
        bool((mine["selected_on"] & searched).any()),
    )


def gain_rows(
    gains: LanguageGains, name: str, held_name: str, held: Collection[str]
) -> list[dict[str, Any]]:
    """Return the gains of one pair as rows of a frame, one a language.

    Args:
        gains: Those of a single pair of sequences.
        name: Column of the gain.
        held_name: Column that says whether a language is one of ``held``.
        held: Languages that the sequence was trained in.
    """
    return [
        {
            "sequence": sequence,
            "reference": reference,
            "language": code,
            held_name: code in held,
            **estimate_mean(gains.values.loc[code], 0.95).as_columns(name),
            "num_seeds": gains.num_seeds,
        }
        for sequence, reference in gains.pairs
        for code in gains.languages
    ]


def pair_table(scores: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the gains of pairs: a row a pair, a column a seed that all pairs have."""
    table = scores.pivot_table(index="sequence", columns="seed", values="score")
    rows = {
        pair: table.loc[pair[0]] - table.loc[pair[1]]
        for pair in pairs
        if set(pair) <= {*table.index}
    }
    found = pd.DataFrame(list(rows.values()))
    found = found.dropna(axis=0, how="all") if found.size else found
    return found.dropna(axis=1)


def estimate_difference(first: Any, second: Any, confidence: float) -> Estimate:
    """Estimate how much larger the mean gain of one group of languages is than another's.

    Languages of each group and seeds are samples; a seed may help one group more than the other.
    The variance is that of the two means over languages (Welch), plus what seeds add to the
    difference beyond the scatter within languages, never taken to be negative. Degrees of freedom
    are Satterthwaite's.

    Args:
        first: Gains, `languages x seeds`, no NaN.
        second: Those of the other group, under the same seeds.
        confidence: Coverage of the interval.

    Returns:
        The estimate; ``num`` is the number of languages. Without two languages of each group and
        two seeds there is no interval.

    Source: Welch 1947, Biometrika 34(1); Satterthwaite 1946, Biometrics Bulletin 2(6).
    """
    groups = [np.asarray(first, dtype=float), np.asarray(second, dtype=float)]
    if not all(group.size for group in groups):
        return Estimate()
    num = sum(len(group) for group in groups)
    mean = float(groups[0].mean() - groups[1].mean())
    num_seeds = groups[0].shape[1]
    if num_seeds < 2 or min(len(group) for group in groups) < 2:
        return Estimate(mean=mean, num=num)
    parts = [
        (float(group.mean(axis=1).var(ddof=1)) / len(group), len(group) - 1) for group in groups
    ]
    by_seed = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    rest = [_residuals(group) for group in groups]
    degrees = sum((len(group) - 1) * (num_seeds - 1) for group in groups)
    ms_rest = sum(float((part**2).sum()) for part in rest) / degrees
    scatter = ms_rest * sum(1 / len(group) for group in groups) / num_seeds
    ms_seeds = float(by_seed.var(ddof=1)) / num_seeds
    if ms_seeds > scatter:
        parts += [(ms_seeds, num_seeds - 1), (-scatter, degrees)]
    total = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts)
    freedom = total**2 / spread if spread else float(num - 2)
    # As in ``intervals.estimate_crossed``.
    freedom = max(freedom, min(freedom for part, freedom in parts if part >= 0))
    return student(mean, math.sqrt(max(total, 0.0)), freedom, confidence, num)


def _residuals(table: Any) -> Any:
    """Return what is left of a table beside the means of its rows and columns."""
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    return table - rows - columns + table.mean()
