"""What the order of stages does: precedence, position, recency and adjacency.

Every effect compares sequences of the same stages that differ in one respect and are alike in the
rest (the context), under the same seed; ``analysis.matched`` averages over contexts. An interval
holds for contexts like those seen; with one context, for its seeds. Effects are of one respect
each: a task that should come early also makes others come late.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pandas as pd

from analysis.columns import tidy
from analysis.intervals import Estimate, adjust_holm
from analysis.matched import Cell, matched_difference, matched_effects
from analysis.observations import Source, by_target, observations, stages_of
from spaces.tables import Column

_TARGET = Column("target", "string", "", "Name of the target task, or `average`.")
_EFFECT = (
    Column("effect_low", "float64", "points", "Lower end of its interval; NaN if unknown."),
    Column("effect_high", "float64", "points", "Upper end."),
    Column("p", "float64", "", "Two-sided p-value of no effect, alone."),
    Column("p_holm", "float64", "", "The same, adjusted (Holm) for all rows of the target."),
    Column("num_contexts", "int64", "", "Contexts in which it could be compared."),
    Column("num_seeds", "int64", "", "Seeds that they were seen under."),
)

PRECEDENCE = (
    _TARGET,
    Column("first", "string", "", "Stage A."),
    Column("second", "string", "", "Stage B, after A in the alphabet."),
    Column("effect", "float64", "points", "Score of A before B less that of B before A."),
    *_EFFECT,
)
POSITIONS = (
    _TARGET,
    Column("stage", "string", "", "Name of the stage."),
    Column("num_stages", "int64", "stages", "Length of the sequences."),
    Column("position", "int64", "", "Position of the stage, from 1."),
    Column("effect", "float64", "points", "Score there less the mean over positions."),
    *_EFFECT,
)
RECENCY = (
    _TARGET,
    Column("stage", "string", "", "Name of the stage."),
    Column("effect", "float64", "points", "Score with the stage last less that with it elsewhere."),
    *_EFFECT,
)
ADJACENCY = (
    _TARGET,
    Column("first", "string", "", "Stage A."),
    Column("second", "string", "", "Stage B, somewhere after A."),
    Column("effect", "float64", "points", "Score of A right before B less that of A further up."),
    *_EFFECT,
)

#: What is compared, its context and its level; several for one sequence.
_Views = Callable[[tuple[str, ...]], Iterator[tuple[tuple[Any, ...], tuple[str, ...], Any]]]


def precedence_effects(
    source: Source, target: str | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Say for each two stages which should come first.

    The effect is the mean of ``score(.. A .. B ..) - score(.. B .. A ..)`` over pairs of sequences
    that are alike but for A and B being exchanged.

    Args:
        source: A run, several, or a frame as in ``analysis.observations``.
        target: Only this target; all of them when ``None``.
        confidence: Coverage of the intervals.

    Returns:
        The columns of ``PRECEDENCE``, one row per target and two stages that were seen both ways.

    Raises:
        UnknownNameError: Nothing has that target.
    """

    def views(stages: tuple[str, ...]) -> Any:
        for i, j in combinations(range(len(stages)), 2):
            first, second = sorted((stages[i], stages[j]))
            context = (*stages[:i], "", *stages[i + 1 : j], "", *stages[j + 1 :])
            yield (first, second), context, stages[i] == first

    rows = _differences(source, target, views, confidence)
    return tidy(({**row, "first": what[0], "second": what[1]} for what, row in rows), PRECEDENCE)


def position_effects(
    source: Source, target: str | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Say for each stage and length of sequence at which position it does best.

    The effect of position k is ``score(stage at k)`` less the plain mean over the positions, among
    sequences in which the other stages are in the same order.

    Args:
        source: As in ``precedence_effects``.
        target: As in ``precedence_effects``.
        confidence: As in ``precedence_effects``.

    Returns:
        The columns of ``POSITIONS``, one row per target, stage, length and position; none where
        some position was never seen beside another.

    Raises:
        UnknownNameError: Nothing has that target.
    """

    def views(stages: tuple[str, ...]) -> Any:
        for i, stage in enumerate(stages):
            yield (stage, len(stages)), (*stages[:i], *stages[i + 1 :]), i

    rows = []
    for names, what, cells in _cells(source, target, views):
        stage, length = what
        if length < 2:
            continue
        found = matched_effects(cells, length, confidence)
        rows += [
            names
            | {"stage": stage, "num_stages": length, "position": position}
            | _effect(effect, found.num_contexts, found.num_seeds)
            for position, effect in enumerate(found.effects, start=1)
            if effect.mean == effect.mean
        ]
    return tidy(_adjusted(rows), POSITIONS)


def recency_effects(
    source: Source, target: str | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Say for each stage what it is worth to have it last, right before the target.

    The effect is ``score(stage last)`` less the mean ``score(stage elsewhere)`` among sequences in
    which the other stages are in the same order.

    Args:
        source: As in ``precedence_effects``.
        target: As in ``precedence_effects``.
        confidence: As in ``precedence_effects``.

    Returns:
        The columns of ``RECENCY``, one row per target and stage that was seen both ways.

    Raises:
        UnknownNameError: Nothing has that target.
    """

    def views(stages: tuple[str, ...]) -> Any:
        for i, stage in enumerate(stages):
            yield (stage,), (*stages[:i], *stages[i + 1 :]), i == len(stages) - 1

    rows = _differences(source, target, views, confidence)
    return tidy(({**row, "stage": what[0]} for what, row in rows), RECENCY)


def adjacency_effects(
    source: Source, target: str | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Say for each two stages what it is worth that one comes right before the other.

    The effect is ``score(.. A B ..)`` less the mean ``score(.. A .. x .. B ..)`` among sequences in
    which the stages other than A are in the same order.

    Args:
        source: As in ``precedence_effects``.
        target: As in ``precedence_effects``.
        confidence: As in ``precedence_effects``.

    Returns:
        The columns of ``ADJACENCY``, one row per target and ordered two stages seen both ways.

    Raises:
        UnknownNameError: Nothing has that target.
    """

    def views(stages: tuple[str, ...]) -> Any:
        for i, j in combinations(range(len(stages)), 2):
            yield (stages[i], stages[j]), (*stages[:i], *stages[i + 1 :]), j == i + 1

    rows = _differences(source, target, views, confidence)
    return tidy(({**row, "first": what[0], "second": what[1]} for what, row in rows), ADJACENCY)


def _differences(
    source: Source, target: str | None, views: _Views, confidence: float
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return what is compared and how much better its level 1 is than its level 0."""
    keys, rows = [], []
    for names, what, cells in _cells(source, target, views):
        found, matched = matched_difference(cells, confidence)
        if found.mean == found.mean:
            keys.append(what)
            rows.append(names | _effect(found, matched.num_contexts, matched.num_seeds))
    return list(zip(keys, _adjusted(rows), strict=True))


def _cells(
    source: Source, target: str | None, views: _Views
) -> Iterator[tuple[dict[str, Any], tuple[Any, ...], list[Cell]]]:
    """Yield for each target and thing compared its cells."""
    for names, part in by_target(observations(source, target)):
        cells: dict[tuple[Any, ...], list[Cell]] = defaultdict(list)
        columns = (part[name] for name in ("sequence", "seed", "score"))
        for sequence, seed, score in zip(*columns, strict=True):
            for what, context, level in views(stages_of(sequence)):
                cells[what].append((context, seed, int(level), score))
        for what in sorted(cells):
            yield names, what, cells[what]


def _effect(estimate: Estimate, num_contexts: int, num_seeds: int) -> dict[str, Any]:
    return {
        **estimate.as_columns("effect"),
        "p": estimate.p,
        "num_contexts": num_contexts,
        "num_seeds": num_seeds,
    }


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add ``p_holm``, over the rows of each target (of each run)."""
    families: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        families[row.get("run"), row["target"]].append(row)
    for family in families.values():
        adjusted = adjust_holm([row["p"] for row in family])
        for row, value in zip(family, adjusted, strict=True):
            row["p_holm"] = value
    return rows
