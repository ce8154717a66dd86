"""Checking, launching and resuming a study.

With ``search.driver``, the composition root, where the search meets ``trainables``.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from search.checks import check_batch_sizes, check_resources, hint_unused_gpus
from search.driver import Driver, Outcome, tokenise
from search.gpu_cost import describe_cost
from search.ledger_storage import open_storage
from search.loggers import check_loggers
from search.pricing import Price, price
from search.run_setup import RunSetup
from search.rundir import RunDirectory
from search.samplers import make_sampler
from spaces.errors import DataError, ResourcesError
from spaces.model_axis import model_labels, naming_model, study_of_model
from spaces.study import Study
from trainables.memory_plan import check_deepspeed, describe_training, model_shape, visible_gpus
from trainables.preparation import (
    check_data,
    check_model,
    free_gpus,
    prepare,
    training_planner,
)
from trainables.store import open_files


def _check_settings(study: Study, address: str | None) -> None:
    """Check all that is known before Ray starts and without the data.

    Raises:
        InputError: An unknown sampler, resources that no trial could get, a model folder that does
            not exist, DeepSpeed settings that cannot be.
    """
    make_sampler(study)
    for label in model_labels(study):
        own = study_of_model(study, label)
        with naming_model(label, own):
            check_model(own.model)
        check_batch_sizes(own)
        check_deepspeed(own)
    if address is None:
        check_resources(study, num_gpus=free_gpus())
    check_loggers(study.report.loggers)


def appraise(
    study: Study, data_root: Path | None, address: str | None
) -> tuple[Price, tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Check a study that may be meant for another machine, and price it.

    Without a data root, releases that are not on the hub cannot be there; that too is noted, for
    the study may be written where its data is not.

    Returns:
        The price, what would keep the study from being launched here, and what its training takes
        (and could use).

    Raises:
        InputError: What is wrong wherever the study is run; a missing data root is no such thing.
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
    shapes = {}
    for label, own in models.items():
        with naming_model(label, own):
            shapes[label] = model_shape(own.model)
    cost = describe_cost(study, planner, shapes)
    hint = hint_unused_gpus(study, num_gpus=free_gpus()) if address is None else None
    hints = (("hint", hint),) if hint else ()
    return price(study, planner), tuple(notes), (*training, *cost, *hints)


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
        InputError: Settings, data or models are wrong, or the run directory is taken; then nothing
            is written.
    """
    directory = RunDirectory(run_dir)
    directory.check_free()
    _check_settings(study, address)
    _check_storage(study)
    preparation = prepare(study, data_root, run_dir)
    # Before anything is written: what is wrong with a record is told as wrong input.
    made = [model for model in preparation.models.values() if not model.is_missing]
    tokenise(made, preparation, data_root, console)
    hint = hint_unused_gpus(study, num_gpus=free_gpus()) if address is None else None
    if hint:
        console.print(f"Hint: {hint}", markup=False, highlight=False, soft_wrap=True)
    resolved = directory.create(study, data_root)
    setup = RunSetup(study, resolved, directory, preparation)
    with Driver(setup, address, console) as driver:
        return driver.run(is_tokenised=True)


def _check_storage(study: Study) -> None:
    """Check that storage elsewhere than in the run directory can be opened.

    Raises:
        InputError: It cannot.
    """
    if study.storage.optuna is not None:
        open_storage(study.storage.optuna)
    if study.storage.stages is not None:
        open_files(study.storage.stages)


def resume(run_dir: Path, *, address: str | None, console: Console) -> Outcome:
    """Continue an interrupted run; a finished one is left as it is.

    Raises:
        InputError: Not a run directory, another driver has it, or its data has changed.
    """
    directory = RunDirectory(run_dir)
    study, resolved = directory.read()
    _check_settings(study, address)
    setup = RunSetup.of_launched(study, resolved, directory)
    with Driver(setup, address, console) as driver:
        return driver.run(is_tokenised=False)
