"""Synthetic landscapes whose truth is known, and what scores they give."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd


def sequences(tasks: Iterable[str], max_length: int) -> list[str]:
    """Return every ordered subset."""
    tasks = tuple(tasks)
    return [
        ">".join(chosen)
        for length in range(max_length + 1)
        for chosen in itertools.permutations(tasks, length)
    ]


def draw(
    rng: np.random.Generator,
    means: Mapping[str, float],
    num_seeds: int,
    *,
    sd_seed: float = 1.0,
    sd_noise: float = 1.0,
    target: str = "tags",
) -> pd.DataFrame:
    """Draw one score per sequence and seed: a mean, the seed's luck, and noise."""
    luck = rng.normal(0, sd_seed, num_seeds)
    noise = rng.normal(0, sd_noise, (len(means), num_seeds))
    values = np.array(list(means.values()))[:, None] + luck + noise
    return pd.DataFrame(
        {
            "target": target,
            "sequence": np.repeat(list(means), num_seeds),
            "seed": np.tile(np.arange(num_seeds), len(means)),
            "score": values.ravel(),
        }
    )


def coverage(intervals: Iterable[tuple[float, float]], truth: float | Iterable[float]) -> float:
    """Return the share of intervals that hold the truth."""
    truths = itertools.repeat(truth) if isinstance(truth, int | float) else truth
    return float(
        np.mean(
            [low <= value <= high for (low, high), value in zip(intervals, truths, strict=False)]
        )
    )
