"""The composition root: puts study, coordinator, Ray and training together and runs them.

The only module of ``search`` that knows ``trainables``.
"""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from search.checks import check_batch_sizes, check_resources
from search.coordinator import Coordinator
from search.ledger import Ledger
from search.pricing import Price, price
from search.rundir import RunDirectory
from search.samplers import make_sampler
from search.tables import write_tables
from search.tokenising_view import show_tokenising
from search.view import LiveView
from spaces.errors import InputError, ResourcesError, TaskorderError
from spaces.study import Study
from trainables.preparation import (
    SCRATCH,
    Preparation,
    check_data,
    check_model,
    free_gpus,
    prepare,
    training_planner,
)
from trainables.preparing import prepare_elsewhere
from trainables.progress import drop_progress
from trainables.session_config import SessionConfig
from trainables.store import StageStore

#: Tables are written at most this often while the run goes on.
TABLES_PERIOD_S = 2.0
#: ... and after a pause of this many times what the last writing took.
TABLES_PAUSE = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a launch or resume ended.

    Attributes:
        finished: Whether nothing is left to do; otherwise it was interrupted.
        num_failed: Trials that failed.
        num_complete: Trials that reached the full budget.
    """

    finished: bool
    num_failed: int
    num_complete: int


def check(study: Study, data_root: Path | None, address: str | None = None) -> None:
    """Check what can be known before Ray starts.

    Raises:
        InputError: Missing data, an unknown sampler, resources that no trial could get, a model
            folder that does not exist.
    """
    make_sampler(study)
    check_model(study.model)
    if address is None:
        check_resources(study, num_gpus=free_gpus())
    check_batch_sizes(study)
    check_data(study, data_root)


def appraise(
    study: Study, data_root: Path | None, address: str | None
) -> tuple[Price, tuple[str, ...]]:
    """Check a study that may be meant for another machine, and price it.

    Returns:
        The price, and what would keep the study from being launched here.

    Raises:
        InputError: As ``check``, resources apart.
    """
    notes = []
    try:
        check(study, data_root, address)
    except ResourcesError as error:
        notes.append(str(error))
        check(study, data_root, address="elsewhere")
    return price(study, training_planner(study, data_root)), tuple(notes)


def launch(
    study: Study, run_dir: Path, data_root: Path | None, *, address: str | None, console: Console
) -> Outcome:
    """Run a study in a new run directory.

    Args:
        study: The study.
        run_dir: Made by this call.
        data_root: Folder of the official files.
        address: A running Ray cluster; ``None`` starts Ray on this machine.
        console: Where progress goes.

    Raises:
        InputError: As ``check``, or the run directory is taken; then nothing is written.
    """
    directory = RunDirectory(run_dir)
    if directory.study_file.exists():
        directory.create(study, data_root)  # refuses, by name
    check(study, data_root, address)
    preparation = prepare(study, data_root, run_dir)
    if study.model.name != SCRATCH:
        # Before anything is written: what is wrong with a record is told as wrong input.
        _tokenise(study, preparation, data_root, console)
    resolved = directory.create(study, data_root)
    return _run(study, resolved, directory, preparation, address=address, console=console)


def resume(run_dir: Path, *, address: str | None, console: Console) -> Outcome:
    """Continue an interrupted run; a finished one is left as it is.

    Raises:
        InputError: Not a run directory, another driver has it, or its data has changed.
    """
    directory = RunDirectory(run_dir)
    study, resolved = directory.read()
    data_root = Path(resolved["data_root"]) if resolved["data_root"] else None
    check(study, data_root, address)
    preparation = prepare(study, data_root, run_dir)
    return _run(
        study, resolved, directory, preparation, address=address, console=console, is_resumed=True
    )


def _run(
    study: Study,
    resolved: dict[str, Any],
    directory: RunDirectory,
    preparation: Preparation,
    *,
    address: str | None,
    console: Console,
    is_resumed: bool = False,
) -> Outcome:
    with directory.driven():
        ledger = Ledger(study, directory.optuna_url(study), make_sampler(study))
        _start_ray(address)
        coordinator = Coordinator(
            study,
            preparation.planner,
            ledger,
            max_concurrent=_max_concurrent(study),
            run_id=resolved["run_id"],
        )
        writer = _TableWriter(directory, coordinator)
        sweeper = _Sweeper(StageStore(directory.store_url(study)), coordinator)
        try:
            if not coordinator.is_finished:
                if _prepare_model(study, resolved, preparation, console) or is_resumed:
                    data_root = resolved["data_root"]
                    _tokenise(study, preparation, Path(data_root) if data_root else None, console)
                with LiveView(study, lambda: coordinator.records, console) as view:

                    def refresh() -> None:
                        view.refresh()
                        if writer.is_due:
                            writer.write()
                            sweeper.sweep()

                    _tune(study, resolved, directory, preparation, coordinator, refresh)
        finally:
            finished = coordinator.num_running == 0 and coordinator.is_finished
            coordinator.suspend()
            writer.write()
            _stop_ray()
        if finished:
            sweeper.sweep()
            directory.note_finished()
        states = [record.status for record in coordinator.records]
        return Outcome(
            finished=finished,
            num_failed=states.count("failed"),
            num_complete=states.count("complete"),
        )


class _Sweeper:
    """Removes the half-done fine-tunings of settled trials from the store.

    Only after the ledger has a trial's last state: before, a resumed run may need them.
    """

    def __init__(self, store: StageStore, coordinator: Coordinator) -> None:
        self._store = store
        self._coordinator = coordinator
        self._swept: set[int] = set()

    def sweep(self) -> None:
        for record in self._coordinator.records:
            if record.is_final and record.number not in self._swept:
                drop_progress(self._store, self._coordinator.progress(record.number).plan)
                self._swept.add(record.number)


class _TableWriter:
    """Writes the tables now and then, less often as they grow."""

    def __init__(self, directory: RunDirectory, coordinator: Coordinator) -> None:
        self._folder = directory.tables
        self._coordinator = coordinator
        self._due_at = -math.inf

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._due_at

    def write(self) -> None:
        started = time.monotonic()
        write_tables(self._folder, self._coordinator.records)
        ended = time.monotonic()
        self._due_at = ended + max(TABLES_PERIOD_S, TABLES_PAUSE * (ended - started))


def _start_ray(address: str | None) -> None:
    # Tune's own start-up messages speak of settings that are ours to make, not the user's.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    import ray  # noqa: PLC0415  (so that input errors are told before Ray is loaded)

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            # One CPU above the machine's own: each trial's trainable takes a sliver of one.
            num_cpus=len(os.sched_getaffinity(0)) + 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 1024 * 1024,
        )


def _stop_ray() -> None:
    import ray  # noqa: PLC0415

    ray.shutdown()


def _max_concurrent(study: Study) -> int:
    """Return how many trials fit, or the study's own limit if that is lower.

    Raises:
        InputError: Not one fits the cluster.
    """
    import ray  # noqa: PLC0415

    resources = study.resources
    cluster: dict[str, float] = ray.cluster_resources()
    one_local = len(ray.nodes()) == 1
    cpus = cluster.get("CPU", 0) - (1 if one_local else 0.001)
    fits = [math.floor(cpus / (resources.workers_per_trial * resources.cpus_per_worker))]
    if resources.gpus_per_worker:
        gpus = cluster.get("GPU", 0)
        fits.append(math.floor(gpus / (resources.workers_per_trial * resources.gpus_per_worker)))
    if min(fits) < 1:
        raise InputError(
            f"resources: no trial fits the cluster, which has {cluster.get('CPU', 0):g} CPUs and "
            f"{cluster.get('GPU', 0):g} GPUs; a trial needs {resources.workers_per_trial} workers "
            f"of {resources.cpus_per_worker:g} CPUs and {resources.gpus_per_worker:g} GPUs."
        )
    limit = study.search.max_concurrent
    most = min(fits)
    return most if limit == "auto" else min(limit, most)


def _prepare_model(
    study: Study, resolved: dict[str, Any], preparation: Preparation, console: Console
) -> bool:
    """Make a ``scratch`` model if it is not there yet, in a worker process; whether it was made."""
    folder = Path(preparation.model_path)
    if study.model.name != SCRATCH or (folder / "model.safetensors").is_file():
        return False
    import ray  # noqa: PLC0415

    def build(study_json: dict[str, Any], data_root: str | None, path: str) -> None:
        # Imported in the worker: the driver needs no torch.
        from trainables.scratch import build_scratch_model  # noqa: PLC0415

        build_scratch_model(study_json, data_root, path)

    console.print("Making the base model from the study's own text...")
    ray.get(
        ray.remote(num_cpus=1)(build).remote(
            study.model_dump(mode="json"), resolved["data_root"], str(folder)
        )
    )
    return True


def _tokenise(
    study: Study, preparation: Preparation, data_root: Path | None, console: Console
) -> None:
    """Tokenise what the study trains on, so that a bad record is found before time is spent."""
    events = prepare_elsewhere(
        study,
        preparation.model_path,
        data_root,
        _cache_dir(study),
        {name: data.num_examples for name, data in preparation.planner.data.items()},
    )
    show_tokenising(events, console)


def _cache_dir(study: Study) -> Path | None:
    return Path(study.storage.cache).expanduser().resolve() if study.storage.cache else None


def _tune(
    study: Study,
    resolved: dict[str, Any],
    directory: RunDirectory,
    preparation: Preparation,
    coordinator: Coordinator,
    refresh: Callable[[], None],
) -> None:
    """Run Ray Tune until the coordinator has nothing left, or the user interrupts.

    ``refresh`` is called after each round of Ray's event loop.
    """
    from ray import tune  # noqa: PLC0415

    from search.ray_adapters import (  # noqa: PLC0415
        CoordinatorScheduler,
        CoordinatorSearcher,
        Watcher,
    )
    from trainables.trainable import SequenceTrainable, placement  # noqa: PLC0415

    session = SessionConfig(
        study=study,
        model_path=preparation.model_path,
        store_url=directory.store_url(study),
        data_root=resolved["data_root"],
        evaluation=preparation.evaluation,
        run_id=resolved["run_id"],
        cache_dir=str(cache_dir) if (cache_dir := _cache_dir(study)) else None,
        predictions_dir=str((directory.path / "predictions").resolve())
        if study.training.save_predictions
        else None,
    )
    resources = study.resources.model_dump()

    trainable = tune.with_resources(
        tune.with_parameters(SequenceTrainable, session=session.to_json(), resources=resources),
        placement(resources),
    )
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=CoordinatorSearcher(coordinator),
            scheduler=CoordinatorScheduler(coordinator),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=time.strftime("%Y%m%d-%H%M%S"),
            storage_path=str(directory.ray.resolve()),
            verbose=0,
            callbacks=[Watcher(refresh)],
            failure_config=tune.FailureConfig(max_failures=study.search.max_failures),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        tuner.fit()
    except tune.TuneError as error:
        raise TaskorderError(f"Ray Tune stopped: {error}") from error


def _trial_name(trial: Any) -> str:
    plan = trial.config["plan"]
    return f"trial-{plan['trial_id']:05}-{plan['target']}"
