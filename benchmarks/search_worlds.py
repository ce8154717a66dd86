"""Landscapes that are drawn for a comparison of searches: one for every search seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.random_landscape import TARGETS, TASKS, Landscape
from benchmarks.search_goal import Goal
from spaces.errors import InputError
from trainables.tabular import RecordedTable


def landscape_of(text: str) -> Landscape:
    """Read how many tasks and targets a drawn landscape has; the rest is the model's own.

    Args:
        text: For example ``9x4``: nine tasks, four targets.

    Raises:
        InputError: Not of that form, or too many.

    >>> landscape_of("5x3").tasks
    5
    """
    tasks, _, targets = text.partition("x")
    if not (tasks.isdecimal() and targets.isdecimal()):
        raise InputError(f"--drawn {text}: write TASKSxTARGETS, for example 9x4.")
    if not (3 <= int(tasks) <= len(TASKS) and 1 <= int(targets) <= len(TARGETS)):
        raise InputError(
            f"--drawn {text}: 3 to {len(TASKS)} tasks and 1 to {len(TARGETS)} targets can be named."
        )
    return Landscape(tasks=int(tasks), targets=int(targets))


def is_trivial(landscape: Landscape) -> bool:
    """Whether the empty sequence is the best on average: then there is nothing to search for."""
    value, _ = landscape.values(np.random.default_rng(landscape.seed))
    return int(value[:-1].mean(axis=1).argmax()) == 0


def drawn_goals(
    model: Landscape,
    count: int,
    objective: str,
    *,
    folder: Path,
    correlation: float | None = None,
) -> list[Goal]:
    """Draw landscapes and make their goals; searches see means over the drawn seeds.

    Args:
        model: What they have in common; their seeds are 0, 1... less those that are trivial.
        count: How many.
        objective: ``average`` or ``per_target``.
        folder: Where tables of similarities are written.
        correlation: That of the similarities with the values of single tasks; none are drawn
            without it.
    """
    goals: list[Goal] = []
    seed = 0
    while len(goals) < count:
        landscape = Landscape(tasks=model.tasks, targets=model.targets, seed=seed)
        seed += 1
        if is_trivial(landscape):
            continue
        similarity = None
        if correlation is not None:
            similarity = str(folder / f"similarity_{landscape.seed}.csv")
            landscape.similarity(correlation).to_csv(similarity, index=False)
        goals.append(Goal.of(table_of(landscape), objective, "mean", similarity))
    return goals


def table_of(landscape: Landscape) -> RecordedTable:
    """Return a drawn landscape as a table."""
    frame = landscape.draw()
    columns = (frame[name].tolist() for name in ("sequence", "target", "seed", "budget_steps"))
    return RecordedTable(
        f"drawn {landscape.seed}",
        dict(zip(zip(*columns, strict=True), frame["score"].tolist(), strict=True)),
        dict(zip(frame["sequence"].tolist(), frame["stage_steps"].tolist(), strict=True)),
    )
