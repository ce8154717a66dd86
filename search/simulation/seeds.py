"""Simulations of one study under several seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.simulation.directory import create_run, write_run
from search.simulation.engine import Simulation
from search.simulation.result import SimulationResult
from search.simulation.trainable import SimulatedTrainable
from spaces.errors import InputError
from spaces.study import Study


def simulate_seeds(
    study: Study,
    make_trainable: Callable[[Study], SimulatedTrainable],
    *,
    workers: int,
    seed_count: int = 1,
    run_dir: Path | None = None,
    **settings: Any,
) -> list[SimulationResult]:
    """Simulate a study at its own seed and at those after it.

    Args:
        study: The study.
        make_trainable: Makes what answers for training, for the study at one of the seeds.
        workers: Number of workers.
        seed_count: Number of seeds.
        run_dir: Folder of a run directory to write; of one seed only.
        settings: Further arguments of ``Simulation``.

    Raises:
        InputError: No seed, a run directory for several, or one that is taken; or as
            ``Simulation``. Then nothing is written.
    """
    if seed_count < 1:
        raise InputError(f"seed-count: {seed_count} is too few; give at least 1.")
    if run_dir is not None and seed_count > 1:
        raise InputError(f"run-dir: it holds one run, not {seed_count}. Leave out one of the two.")
    results = []
    for seed in range(study.seed, study.seed + seed_count):
        seeded = study.model_copy(update={"seed": seed})
        simulation = Simulation(seeded, make_trainable(seeded), workers=workers, **settings)
        if run_dir is not None:
            create_run(seeded, run_dir)
        results.append(simulation.run())
        if run_dir is not None:
            write_run(results[-1], run_dir)
    return results
