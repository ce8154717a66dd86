"""Features of sequences: which tasks are there, and in which order."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from search.samplers.history import parse

Array = NDArray[np.float64]

#: Blocks of features, each with an effect size of its own in the surrogate.
BLOCKS = ("presence", "recency", "precedence", "adjacency", "emptiness")


def block_widths(num_tasks: int) -> tuple[int, ...]:
    """Return the number of features of each block."""
    return num_tasks, num_tasks, num_tasks**2, num_tasks**2, 1


@lru_cache(maxsize=200_000)
def order_features(text: str, tasks: tuple[str, ...]) -> Array:
    """Return a sequence's features.

    Which tasks are present, which one comes last, which precedes which at any distance, which
    follow each other directly, and whether there is none at all.

    Args:
        text: Text form of a sequence of single names.
        tasks: The study's names, n of them.

    Returns:
        `2n + 2n^2 + 1` numbers, each 0 or 1; not to be changed, since it is kept.
    """
    n = len(tasks)
    index = {task: i for i, task in enumerate(tasks)}
    order = [index[name] for name in parse(text).names]
    presence, recency = np.zeros(n), np.zeros(n)
    precedence, adjacency = np.zeros((n, n)), np.zeros((n, n))
    presence[order] = 1
    for position, first in enumerate(order):
        precedence[first, order[position + 1 :]] = 1
    for first, second in itertools.pairwise(order):
        adjacency[first, second] = 1
    recency[order[-1:]] = 1
    features = np.concatenate(
        [presence, recency, precedence.ravel(), adjacency.ravel(), [float(not order)]]
    )
    features.setflags(write=False)
    return features
