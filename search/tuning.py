"""Ray Tune, run for a coordinator until that has nothing to start."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.cluster import lost_nodes
from search.coordinator import Coordinator
from search.failures import FailureBudget
from search.loggers import make_loggers
from spaces.errors import StoreError, TaskorderError
from spaces.study import Study
from trainables.session_config import SessionConfig


def tune_trials(
    study: Study,
    coordinator: Coordinator,
    session: SessionConfig,
    ray_dir: Path,
    turn: Callable[[], None],
) -> bool:
    """Run Ray Tune until the coordinator has nothing to start, or the user interrupts.

    Args:
        study: The study.
        coordinator: Says what runs and what becomes of a report.
        session: What every worker needs to know.
        ray_dir: Where Ray Tune keeps its own files.
        turn: Called at every turn of Ray's event loop.

    Returns:
        Whether it was interrupted.

    Raises:
        StoreError: The store is full or out of reach.
        TaskorderError: Ray Tune stopped by itself.
    """
    from ray import tune  # noqa: PLC0415

    from search.ray_adapters import (  # noqa: PLC0415
        CoordinatorScheduler,
        CoordinatorSearcher,
        Watcher,
    )
    from trainables.trainable import SequenceTrainable, placement  # noqa: PLC0415

    resources = study.resources.model_dump()
    failures = FailureBudget(study.search.max_failures, lost_nodes)
    scheduler = CoordinatorScheduler(coordinator, failures)
    searcher = CoordinatorSearcher(coordinator, scheduler.num_pausing)

    def watch() -> None:
        if scheduler.halted:
            raise StoreError(scheduler.halted)
        failures.look()
        turn()

    trainable = tune.with_resources(
        tune.with_parameters(SequenceTrainable, session=session.to_json(), resources=resources),
        placement(resources),
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=str(ray_dir.resolve()),
            verbose=0,
            callbacks=[Watcher(watch), *make_loggers(study.report.loggers, study.name)],
            failure_config=tune.FailureConfig(max_failures=-1),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        tuner.fit()
    except tune.TuneError as error:
        raise TaskorderError(f"Ray Tune stopped: {error}") from error
    return not searcher.has_finished


def _trial_name(trial: Any) -> str:
    plan = trial.config["plan"]
    return f"trial-{plan['trial_id']:05}-{plan['target']}"
