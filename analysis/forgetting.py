"""What further stages do to what was gained: forgetting along a sequence.

A prefix of a sequence is a sequence of its own, so the score of a target before and after further
stages can be compared under the same seed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd

from analysis.columns import tidy
from analysis.contrasts import SeedModel
from analysis.intervals import adjust_holm
from analysis.matched import Cell, matched_difference
from analysis.observations import Source, by_target, observations, stages_of
from spaces.sequences import STAGE_SEPARATOR
from spaces.tables import Column

APPENDED = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("stage", "string", "", "The stage that is appended."),
    Column("change", "float64", "points", "Score with it less that of the prefix alone."),
    Column("change_low", "float64", "points", "Lower end of its interval; NaN if unknown."),
    Column("change_high", "float64", "points", "Upper end."),
    Column("p", "float64", "", "Two-sided p-value of no change, alone."),
    Column("p_holm", "float64", "", "The same, adjusted (Holm) for all stages of the target."),
    Column("num_prefixes", "int64", "", "Prefixes that it was appended to."),
    Column("num_seeds", "int64", "", "Seeds that they were seen under."),
)
FORGETTING = (
    Column("target", "string", "", "Name of the target task, or `average`."),
    Column("stage", "string", "", "The last stage of the prefix; empty: any."),
    Column("num_appended", "int64", "stages", "How many stages follow it."),
    Column("change", "float64", "points", "Score at the end less that of the prefix alone."),
    Column("change_low", "float64", "points", "Lower end of its interval; NaN if unknown."),
    Column("change_high", "float64", "points", "Upper end."),
    Column("p", "float64", "", "Two-sided p-value of no change, alone."),
    Column("num_prefixes", "int64", "", "Prefixes."),
    Column("num_pairs", "int64", "", "Pairs of a prefix and a longer sequence."),
)


def appended_effects(
    source: Source,
    target: str | None = None,
    *,
    confidence: float = 0.95,
    average: bool | None = None,
) -> pd.DataFrame:
    """Say for each stage what appending it to a sequence does.

    The change is the mean of ``score(prefix, stage) - score(prefix)`` over prefixes of one stage
    or more, under the same seed; below 0 it harms what is there. The interval holds for prefixes
    like those seen (``analysis.matched``).

    Args:
        source: A run, several, or a frame as in ``analysis.observations``.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of the intervals.
        average: As in ``leaderboard``.

    Returns:
        The columns of ``APPENDED``, one row per target and stage, the best first.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    rows: list[dict[str, Any]] = []
    for names, part in by_target(observations(source, target, average=average)):
        means: Any = part.groupby(["sequence", "seed"])["score"].mean()
        score: dict[tuple[str, int], float] = means.to_dict()
        cells: dict[str, list[Cell]] = defaultdict(list)
        for (sequence, seed), value in score.items():
            prefix, _, stage = sequence.rpartition(STAGE_SEPARATOR)
            if prefix and (prefix, seed) in score:
                before = score[prefix, seed]
                cells[stage] += [(prefix, seed, 1, value), (prefix, seed, 0, before)]
        family = []
        for stage in sorted(cells):
            found, matched = matched_difference(cells[stage], confidence)
            family.append(
                {
                    **names,
                    "stage": stage,
                    **found.as_columns("change"),
                    "p": found.p,
                    "num_prefixes": matched.num_contexts,
                    "num_seeds": matched.num_seeds,
                }
            )
        adjusted = adjust_holm([row["p"] for row in family])
        family = [{**row, "p_holm": p} for row, p in zip(family, adjusted, strict=True)]
        rows += sorted(family, key=lambda row: (-row["change"], row["stage"]))
    return tidy(rows, APPENDED)


def forgetting_curve(
    source: Source,
    target: str | None = None,
    *,
    confidence: float = 0.95,
    average: bool | None = None,
) -> pd.DataFrame:
    """Say how the score of a target changes as more and more stages follow.

    The change is the mean of ``score(prefix, further stages) - score(prefix)`` over all pairs that
    were seen, by the number of further stages, for prefixes of one stage or more; for any last
    stage of the prefix, and for each. Many pairs share a prefix, so the interval is that of the
    noise between seeds for these very pairs (``analysis.contrasts``): it needs repeats, and says
    nothing of other sequences.

    Args:
        source: As in ``appended_effects``.
        target: As in ``appended_effects``.
        confidence: As in ``appended_effects``.
        average: As in ``appended_effects``.

    Returns:
        The columns of ``FORGETTING``, by target, stage and number of further stages.

    Raises:
        UnknownNameError: Nothing has that target.
    """
    rows: list[dict[str, Any]] = []
    for names, part in by_target(observations(source, target, average=average)):
        model = SeedModel(part)
        for (stage, num_appended), pairs in sorted(_pairs(model.sequences).items()):
            weights: dict[str, float] = defaultdict(float)
            for prefix, whole in pairs:
                weights[whole] += 1 / len(pairs)
                weights[prefix] -= 1 / len(pairs)
            found = model.contrast(weights, confidence)
            rows.append(
                {
                    **names,
                    "stage": stage,
                    "num_appended": num_appended,
                    **found.as_columns("change"),
                    "p": found.p,
                    "num_prefixes": len({prefix for prefix, _ in pairs}),
                    "num_pairs": len(pairs),
                }
            )
    return tidy(rows, FORGETTING)


def _pairs(sequences: tuple[str, ...]) -> dict[tuple[str, int], list[tuple[str, str]]]:
    """Return pairs of a prefix and a longer sequence, by last stage of the prefix and length."""
    known = set(sequences)
    pairs: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for name in sequences:
        stages = stages_of(name)
        for length in range(1, len(stages)):
            prefix = STAGE_SEPARATOR.join(stages[:length])
            if prefix in known:
                for stage in ("", stages[length - 1]):
                    pairs[stage, len(stages) - length].append((prefix, name))
    return pairs
