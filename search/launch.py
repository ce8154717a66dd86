"""The composition root: puts study, coordinator, Ray and training together and runs them.

The only module of ``search`` that knows ``trainables``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from search.checks import check_batch_sizes, check_resources
from search.cluster import (
    check_address,
    is_node_alive,
    lost_nodes,
    max_concurrent,
    node_labels,
    start_ray,
    stop_ray,
)
from search.coordinator import Coordinator
from search.edits import check_edits
from search.failures import FailureBudget
from search.gpu_cost import describe_cost
from search.keeper import StoreKeeper
from search.ledger import Ledger
from search.loggers import check_loggers, make_loggers
from search.pricing import Price, price
from search.rundir import RunDirectory
from search.samplers import make_sampler
from search.tables import TableWriter
from search.tokenising_view import show_tokenising
from search.view import LiveView
from spaces.errors import DataError, ResourcesError, StoreError, TaskorderError
from spaces.model_axis import model_labels, study_of_model
from spaces.study import Study
from trainables.deepspeed_config import json_sections
from trainables.memory_plan import describe_training, model_shape, visible_gpus
from trainables.preparation import (
    Preparation,
    PreparedModel,
    check_data,
    check_model,
    free_gpus,
    prepare,
    training_planner,
)
from trainables.preparing import make_missing_models, prepare_elsewhere
from trainables.session_config import SessionConfig
from trainables.store import StageStore

#: Seconds between two looks at whether another run has finished a stage, while nothing runs.
WAIT_S = 1.0


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
            folder that does not exist, a DeepSpeed JSON that sets what the study decides.
    """
    _check_settings(study, address)
    check_data(study, data_root)


def _check_settings(study: Study, address: str | None) -> None:
    """Check all that is known without the data."""
    make_sampler(study)
    for own in (study_of_model(study, label) for label in model_labels(study)):
        check_model(own.model)
        check_batch_sizes(own)
        if isinstance(own.deepspeed, str):
            json_sections(own.deepspeed)
    if address is None:
        check_resources(study, num_gpus=free_gpus())
    else:
        check_address(address)
    check_loggers(study.report.loggers)


def appraise(
    study: Study, data_root: Path | None, address: str | None
) -> tuple[Price, tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Check a study that may be meant for another machine, and price it.

    Without a data root, releases that are not on the hub cannot be there; that too is noted, for
    the study may be written where its data is not.

    Returns:
        The price, what would keep the study from being launched here, and what its training takes.

    Raises:
        InputError: As ``check``, resources and, without a data root, missing data apart.
    """
    notes = []
    try:
        _check_settings(study, address)
    except ResourcesError as error:
        notes.append(str(error))
        _check_settings(study, address="elsewhere")
    try:
        check_data(study, data_root)
    except DataError as error:
        if data_root is not None:
            raise
        notes.append(str(error))
    gpus = visible_gpus()
    models = {label: study_of_model(study, label) for label in model_labels(study)}
    training = tuple(
        (f"{label}: {what}" if study.models else what, text)
        for label, own in models.items()
        for what, text in describe_training(own, gpus)
    )
    planner = training_planner(study, data_root)
    shapes = {label: model_shape(own.model) for label, own in models.items()}
    cost = describe_cost(study, planner, shapes)
    return price(study, planner), tuple(notes), (*training, *cost)


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
    # Before anything is written: what is wrong with a record is told as wrong input.
    made = [model for model in preparation.models.values() if not model.is_missing]
    _tokenise(made, preparation, data_root, console)
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
    from trainables.progress_board import BoardReader  # noqa: PLC0415  (Ray)

    with directory.driven():
        ledger = Ledger(study, directory.optuna_url(study), make_sampler(study))
        launched = ledger.launched().model_dump(mode="json")
        check_edits(launched, study.model_dump(mode="json"), str(directory.study_file))
        start_ray(address)
        store = StageStore(
            directory.store_url(study),
            run=resolved["run_id"],
            labels=node_labels(),
            ask=lambda owner: is_node_alive(owner.labels),
        )
        with StoreKeeper(
            store,
            study.storage.max_size_gb,
            ledger,
            console,
            study.storage.checkpoint_every_steps,
        ) as keeper:
            coordinator = Coordinator(
                study,
                preparation.planner,
                ledger,
                max_concurrent=max_concurrent(study, address),
                run_id=resolved["run_id"],
                shared=keeper,
            )
            keeper.serve(lambda: [coordinator.progress(r.number) for r in coordinator.records])
            writer = TableWriter(directory.tables, lambda: coordinator.records, keeper.state)
            try:
                if not coordinator.is_finished:
                    directory.note_unfinished()
                    folder = Path(resolved["data_root"]) if resolved["data_root"] else None
                    made = make_missing_models(preparation.models, folder, console.print)
                    found = list(preparation.models.values())
                    _tokenise(found if is_resumed else made, preparation, folder, console)
                    # Plain lines tell of trials that have ended alone.
                    notices = BoardReader() if console.is_terminal else BoardReader.off()
                    with LiveView(study, lambda: coordinator.records, console, notices) as view:

                        def refresh() -> None:
                            view.refresh()
                            keeper.tidy()
                            if writer.is_due:
                                keeper.tell_set_aside()
                                writer.write()
                                keeper.sweep()

                        _search(study, resolved, directory, preparation, coordinator, refresh)
            finally:
                finished = coordinator.num_running == 0 and coordinator.is_finished
                coordinator.suspend()
                keeper.tell_set_aside()
                writer.write()
                stop_ray()
            if finished:
                keeper.finish()
                writer.write()
                directory.note_finished()
        states = [record.status for record in coordinator.records]
        return Outcome(
            finished=finished,
            num_failed=states.count("failed"),
            num_complete=states.count("complete"),
        )


def _search(
    study: Study,
    resolved: dict[str, Any],
    directory: RunDirectory,
    preparation: Preparation,
    coordinator: Coordinator,
    refresh: Callable[[], None],
) -> None:
    """Run Ray Tune, again if it has run out of trials while others wait for another run's stages.

    Ray Tune asks for its first trial without ever looking up, so that is waited for here.
    """
    while not coordinator.is_finished:
        while (chosen := coordinator.select()) is None and coordinator.waits_for_others:
            refresh()
            time.sleep(WAIT_S)
        if chosen is None:
            return
        if _tune(study, resolved, directory, preparation, coordinator, refresh):
            return


def _tokenise(
    models: Iterable[PreparedModel],
    preparation: Preparation,
    data_root: Path | None,
    console: Console,
) -> None:
    """Tokenise what the study trains on, so that a bad record is found before time is spent."""
    sizes = {name: data.num_examples for name, data in preparation.planner.data.items()}
    for model in models:
        cache_dir = _cache_dir(model.study)
        events = prepare_elsewhere(model.study, model.path, data_root, cache_dir, sizes)
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
) -> bool:
    """Run Ray Tune until the coordinator has nothing to do, or the user interrupts.

    Args:
        study: The study.
        resolved: What its run directory notes with it.
        directory: The run directory.
        preparation: What the run needs.
        coordinator: The coordinator.
        refresh: Called after each round of Ray's event loop.

    Returns:
        Whether it was interrupted.

    Raises:
        StoreError: The store is full or out of reach.
    """
    from ray import tune  # noqa: PLC0415

    from search.ray_adapters import (  # noqa: PLC0415
        CoordinatorScheduler,
        CoordinatorSearcher,
        Watcher,
    )
    from trainables.trainable import SequenceTrainable, placement  # noqa: PLC0415

    session = SessionConfig.of_models(
        preparation.models,
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
    failures = FailureBudget(study.search.max_failures, lost_nodes)
    searcher = CoordinatorSearcher(coordinator)
    scheduler = CoordinatorScheduler(coordinator, failures)

    def watch() -> None:
        if scheduler.halted:
            raise StoreError(scheduler.halted)
        failures.look()
        refresh()

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
            storage_path=str(directory.ray.resolve()),
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
