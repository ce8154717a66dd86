"""Simulations of one study under several seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search.simulation.engine import SimulatedTrainable, simulate
from search.simulation.result import SimulationResult
from spaces.errors import InputError
from spaces.study import Study


def simulate_seeds(
    study: Study,
    make_trainable: Callable[[Study], SimulatedTrainable],
    *,
    workers: int,
    seed_count: int = 1,
    **settings: Any,
) -> list[SimulationResult]:
    """Simulate a study at its own seed and at those after it.

    Args:
        study: The study.
        make_trainable: Makes what answers for training, for the study at one of the seeds.
        workers: Number of workers.
        seed_count: Number of seeds.
        settings: Further arguments of ``Simulation``.

    Raises:
        InputError: No seed; or as ``Simulation``.
    """
    if seed_count < 1:
        raise InputError(f"seed-count: {seed_count} is too few; give at least 1.")
    results = []
    for seed in range(study.seed, study.seed + seed_count):
        seeded = study.model_copy(update={"seed": seed})
        results.append(simulate(seeded, make_trainable(seeded), workers=workers, **settings))
    return results
