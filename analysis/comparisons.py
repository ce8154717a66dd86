"""Is the best sequence really better? Differences with many comparisons accounted for.

Symbols as in ``analysis.intervals``: a difference of two sequences is the mean over the seeds that
both have, its noise that of all repeated sequences of the target pooled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.columns import tidy
from analysis.intervals import Estimate, adjust_holm, estimate_mean, pool_noise
from analysis.observations import (
    ALL_AT_ONCE,
    NO_INTERMEDIATE,
    Source,
    by_target,
    observations,
)
from analysis.statistics import leaderboard
from analysis.verdicts import NO_ANSWER, Comparisons, answer_of
from analysis.wording import clean
from spaces.errors import UnknownNameError
from spaces.sequences import TASK_SEPARATOR
from spaces.tables import Column

#: What the best sequence is compared with.
Question = Literal["second", "single", "none", "all", "others"]
ANSWER: tuple[Question, ...] = ("second", "single", "none", "all")

COMPARISONS = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("question", "string", "", "second, single (best one-task), none, all, others or pair."),
    Column("sequence", "string", "", "The sequence."),
    Column("reference", "string", "", "The sequence it is compared with."),
    Column("difference", "float64", "points", "Mean difference over the seeds that both have."),
    Column("difference_low", "float64", "points", "Lower end of its simultaneous interval."),
    Column("difference_high", "float64", "points", "Upper end."),
    Column("p", "float64", "", "Two-sided p-value of no difference, alone."),
    Column("p_adjusted", "float64", "", "The same, for all comparisons of the family together."),
    Column("num_pairs", "int64", "", "Seeds that both have."),
    Column("num_compared", "int64", "", "Comparisons in the family that it is adjusted for."),
    Column("verdict", "string", "", "better, worse or not decided."),
)

#: Draws of the null distribution: the error of a p-value of 0.05 is 0.0015.
NUM_DRAWS = 20_000
_CHUNK = 2_000_000


def compare_best(
    source: Source,
    target: str | None = None,
    *,
    against: Sequence[Question] = ANSWER,
    confidence: float = 0.95,
    fresh_only: bool = True,
    average: bool | None = None,
    seed: int = 0,
) -> Comparisons:
    """Say whether the best sequence of each target is really better than the second, and so on.

    The best was picked by the very scores it is compared by, so intervals and p-values of a
    question are simultaneous over every pair that might have been asked about, among the sequences
    that have two seeds or more: all of them against a reference that was fixed beforehand (none,
    all), as Dunnett's test; all pairs where the reference was picked too, as Tukey's. What was
    confirmed on fresh seeds is compared on those alone.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``.
        target: Only this target; all of them when ``None``.
        against: ``second`` (rank 2 of the leaderboard), ``single`` (the best sequence of one task),
            ``none`` (no intermediate task), ``all`` (all tasks at once), ``others`` (every other
            sequence with two seeds).
        confidence: That all intervals of a question would hold at once.
        fresh_only: As in ``leaderboard``.
        average: As in ``leaderboard``.
        seed: Of the simulated null distribution.

    Returns:
        The columns of ``COMPARISONS``; printed, it is the answer in words (unless ``against`` lacks
        one of the default's). What ran on one seed, or shares fewer than two, is ``not
        decided``, whatever the difference. No row where the best is itself what it would be
        compared with, or that was not run.

    Raises:
        UnknownNameError: Nothing has that target.

    Source: Hothorn, Bretz and Westfall 2008, Biometrical Journal 50(3), for the max-t intervals.
    Deviation: the joint distribution is simulated, and the noise of a difference is pooled over
    sequences as in ``analysis.intervals``.
    """
    found = observations(source, target, fresh_only=fresh_only, average=average)
    rows: list[dict[str, Any]] = []
    words: list[str] = []
    for names, part in by_target(found):
        board = leaderboard(part, fresh_only=False)
        best = str(board["sequence"].iloc[0])
        seeds = part.groupby("sequence")["seed"].nunique()
        repeated = [str(name) for name in seeds.index[seeds >= 2]]
        own: list[dict[str, Any]] = []
        for kind in against:
            pairs = [(best, name) for name in _references(board, kind, repeated) if name != best]
            if kind in ("none", "all"):
                family = [(name, other) for _, other in pairs for name in repeated if name != other]
            else:
                family = list(combinations(repeated, 2))
            compared = _compare(part, pairs, family, confidence, seed)
            own += [{**names, "question": kind, **row} for row in compared]
        rows += own
        said = answer_of(board.to_dict("records")[0], pd.DataFrame(own), confidence)
        words.append(f"{clean(names['run'])}: {said}" if "run" in names else said)
    whole = set(ANSWER) <= set(against)
    return Comparisons.of(tidy(rows, COMPARISONS), (words or [NO_ANSWER]) if whole else ())


def compare_pairs(
    source: Source,
    pairs: Iterable[tuple[str, str]],
    target: str | None = None,
    *,
    adjust: Literal["holm", "max-t", "none"] = "holm",
    confidence: float = 0.95,
    fresh_only: bool = True,
    average: bool | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare pairs of sequences that were chosen before their scores were seen.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``.
        pairs: Sequences and what each is compared with.
        target: Only this target; all of them when ``None``.
        adjust: How to account for the number of pairs of a target: ``holm`` (p-values by Holm,
            intervals by Bonferroni; whatever the dependence), ``max-t`` (both from the joint
            distribution; tighter) or ``none``.
        confidence: That all intervals of a target hold at once (with ``none``: each alone).
        fresh_only: As in ``leaderboard``.
        average: As in ``leaderboard``.
        seed: Of the simulated null distribution.

    Returns:
        The columns of ``COMPARISONS``, one row per target and pair.

    Raises:
        UnknownNameError: Nothing has that target, or no target has that sequence.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2); as ``compare_best`` for max-t.
    """
    found = observations(source, target, fresh_only=fresh_only, average=average)
    wanted = list(pairs)
    known = sorted(set(found["sequence"]))
    for name in (name for pair in wanted for name in pair):
        if name not in known:
            raise UnknownNameError("sequence", name, known)
    rows: list[dict[str, Any]] = []
    for names, part in by_target(found):
        family = wanted if adjust == "max-t" else None
        level = confidence
        if adjust == "holm" and wanted:
            level = 1 - (1 - confidence) / len(wanted)
        compared = _compare(part, wanted, family, level, seed)
        if adjust == "holm":
            adjusted = adjust_holm([row["p"] for row in compared])
            for row, value in zip(compared, adjusted, strict=True):
                row |= {"p_adjusted": value, "num_compared": len(wanted)}
        rows += [{**names, "question": "pair", **row} for row in compared]
    return tidy(rows, COMPARISONS)


def _references(board: pd.DataFrame, kind: str, repeated: Sequence[str]) -> list[str]:
    """Return what a question asks about, the best excepted."""
    if kind == "second":
        chosen = board["sequence"].iloc[1:2]
    elif kind == "single":
        names = board.loc[board["num_stages"] == 1, "sequence"]
        chosen = names[~names.str.contains(TASK_SEPARATOR, regex=False)].head(1)
    elif kind == "others":
        chosen = board.loc[board["sequence"].isin(repeated), "sequence"]
    else:
        baseline = {"none": NO_INTERMEDIATE, "all": ALL_AT_ONCE}[kind]
        chosen = board.loc[board["baseline"] == baseline, "sequence"]
    return [str(name) for name in chosen]


def _compare(
    scores: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    family: Sequence[tuple[str, str]] | None,
    confidence: float,
    seed: int,
) -> list[dict[str, Any]]:
    """Compare pairs; intervals are simultaneous over a family of pairs if there is one."""
    table = scores.pivot_table(index="sequence", columns="seed", values="score")
    noise = pool_noise(scores).difference
    largest = None
    if family is not None:
        largest = _largest_t(table, family, noise.degrees, seed)
    rows = []
    for first, second in pairs:
        values = (table.loc[first] - table.loc[second]).dropna()
        found = estimate_mean(values, confidence, noise)
        adjusted, num_compared = found.p, 1
        if largest is not None and found.low == found.low:
            found, adjusted = _simultaneous(found, noise.sd, largest, confidence)
            num_compared = len(family or ())
        rows.append(
            {
                "sequence": first,
                "reference": second,
                **found.as_columns("difference"),
                "p": found.p,
                "p_adjusted": adjusted,
                "num_pairs": found.num,
                "num_compared": num_compared,
                "verdict": found.verdict,
            }
        )
    return rows


def _simultaneous(
    found: Estimate, sd: float, largest: Any, confidence: float
) -> tuple[Estimate, float]:
    error = sd / math.sqrt(found.num)
    half = float(np.quantile(largest, confidence)) * error
    if error > 0:
        # One more for the observed value: a p-value is never 0.
        exceeding = float((largest >= abs(found.mean) / error).sum())
        adjusted = (exceeding + 1) / (len(largest) + 1)
    else:
        adjusted = float(found.mean == 0)
    simultaneous = Estimate(found.mean, found.mean - half, found.mean + half, found.num, found.p)
    return simultaneous, max(adjusted, found.p)


def _largest_t(
    table: pd.DataFrame, family: Sequence[tuple[str, str]], degrees: float, seed: int
) -> Any:
    """Draw the largest absolute t of a family of paired differences when there is none.

    Two differences are correlated as far as they share cells (a sequence under a seed).

    Returns:
        `NUM_DRAWS` values, or ``None`` where no pair has two seeds or the noise is unknown.
    """
    names = list(dict.fromkeys(name for pair in family for name in pair))
    index = {name: i for i, name in enumerate(names)}
    known = table.reindex(names).notna().to_numpy()
    first = np.array([index[name] for name, _ in family], dtype=int)
    second = np.array([index[name] for _, name in family], dtype=int)
    usable = (known[first] & known[second]).sum(axis=1) >= 2
    if not usable.any() or not degrees > 0:
        return None
    rng = np.random.default_rng(seed)
    scale = np.sqrt(rng.chisquare(degrees, NUM_DRAWS) / degrees)
    if known.all() and len(family) == len(names) * (len(names) - 1) // 2:
        # All pairs of a complete table: the largest difference is the range.
        return _ranges(rng, len(names)) / scale
    first, second = first[usable], second[usable]
    both = known[first] & known[second]
    weights = both / np.sqrt(2 * both.sum(axis=1, keepdims=True))
    largest = np.empty(NUM_DRAWS)
    step = max(1, _CHUNK // max(len(first), known.size))
    for start in range(0, NUM_DRAWS, step):
        cells = rng.standard_normal((min(step, NUM_DRAWS - start), *known.shape))
        values = np.zeros((len(cells), len(first)))
        for column in range(known.shape[1]):
            difference = cells[:, first, column] - cells[:, second, column]
            values += difference * weights[:, column]
        largest[start : start + step] = np.abs(values).max(axis=1)
    return largest / scale


def _ranges(rng: np.random.Generator, size: int) -> Any:
    """Draw ranges of standard normal samples, in units of a difference's standard deviation."""
    step = max(1, _CHUNK // size)
    parts = [
        np.ptp(rng.standard_normal((min(step, NUM_DRAWS - start), size)), axis=1)
        for start in range(0, NUM_DRAWS, step)
    ]
    return np.concatenate(parts) / math.sqrt(2)
