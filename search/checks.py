"""What is known to be impossible before anything starts, beyond what the study file itself says."""

from __future__ import annotations

import os
from typing import Any

from spaces.errors import InputError, ResourcesError
from spaces.hyperparameters import Distribution
from spaces.study import Study


def check_resources(study: Study, *, num_gpus: int) -> None:
    """Check that one trial fits this machine.

    Args:
        study: The study.
        num_gpus: GPUs that this machine has.

    Raises:
        ResourcesError: It does not.
    """
    resources = study.resources
    cpus = len(os.sched_getaffinity(0))
    needed = resources.workers_per_trial * resources.cpus_per_worker
    if needed > cpus:
        raise ResourcesError(
            f"resources: a trial needs {needed:g} CPUs ({resources.workers_per_trial} workers of "
            f"{resources.cpus_per_worker:g}), this machine has {cpus}. Lower "
            "resources.workers_per_trial or cpus_per_worker, or join a cluster with --address."
        )
    wanted = resources.workers_per_trial * resources.gpus_per_worker
    if wanted > num_gpus:
        raise ResourcesError(
            f"resources: a trial needs {wanted:g} GPUs, this machine has {num_gpus}. Lower "
            "resources.gpus_per_worker (0 trains on CPUs), or join a cluster with --address."
        )


def hint_unused_gpus(study: Study, *, num_gpus: int) -> str | None:
    """Say that a machine's GPUs are not used, and how to use them.

    Args:
        study: The study.
        num_gpus: GPUs that this machine has.

    Returns:
        ``None`` where there is nothing to say.
    """
    if not num_gpus or study.resources.gpus_per_worker:
        return None
    there = "a GPU" if num_gpus == 1 else f"{num_gpus} GPUs"
    return (
        f"this machine has {there}, and the study trains on CPUs. To use "
        f"{'it' if num_gpus == 1 else 'them'}: --set resources.gpus_per_worker=1"
    )


def check_batch_sizes(study: Study) -> None:
    """Check that every batch divides over a trial's workers.

    Raises:
        InputError: One does not, or one of a range would not.
    """
    workers = study.resources.workers_per_trial
    given: dict[str, Any] = {
        "training.batch_size": study.training.batch_size,
        "training.stage.batch_size": study.training.stage.batch_size,
        "training.target.batch_size": study.training.target.batch_size,
    }
    for name, spec in study.hyperparameters.items():
        if name.endswith(".batch_size"):
            given[f"hyperparameters.{name}"] = spec
    for name, value in given.items():
        if isinstance(value, Distribution) and value.choice is None and workers > 1:
            raise InputError(
                f"{name}: a range has values that do not divide over {workers} workers. Use a "
                "choice of multiples of resources.workers_per_trial."
            )
        for size in value.extremes() if isinstance(value, Distribution) else (value,):
            if size is not None and size % workers:
                raise InputError(
                    f"{name}: {size} does not divide over {workers} workers. "
                    "Use a multiple of resources.workers_per_trial."
                )
