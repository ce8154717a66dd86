"""What the names in a study's sequences stand for.

A name is an intermediate task of the catalogue or an entry of the study's ``intermediate.stages``;
several names joined in one stage (``mnli+squad1``) are everything they stand for, together.
"""

from __future__ import annotations

from collections.abc import Mapping

from spaces.errors import InputError, UnknownNameError
from spaces.languages import resolve_languages
from spaces.sequences import STAGE_SEPARATOR, TASK_SEPARATOR, Stage
from spaces.stage_sections import StageSection, StreamSection, TrainingOverrides
from spaces.stages import Mixture, Stream, together
from spaces.study_schema import IntermediateSection
from spaces.tasks import Task


def resolve_stage(
    section: IntermediateSection, tasks: Mapping[str, Task], stage: Stage
) -> tuple[Mixture, TrainingOverrides]:
    """Return what a stage trains on and the settings that are its own.

    Args:
        section: The study's ``intermediate`` section.
        tasks: Tasks by name.
        stage: The stage.

    Raises:
        UnknownNameError: A task or language that does not exist.
        InputError: A stage that cannot be trained.
    """
    named = [_resolve(section, tasks, name) for name in stage.tasks]
    if len(named) == 1:
        return named[0]
    mixtures = [mixture for mixture, _ in named]
    own = {t: tasks[t].train_language for mixture in mixtures for t in mixture.tasks}
    return together(mixtures, own), TrainingOverrides()


def check_stages(section: IntermediateSection, tasks: Mapping[str, Task]) -> None:
    """Check every named stage, used or not.

    Raises:
        InputError: A name that is taken or cannot be written in a sequence.
        UnknownNameError: As ``resolve_stage``.
    """
    for name in section.stages:
        if name in tasks:
            raise InputError(
                f"intermediate.stages: {name!r} is a task of the catalogue. Give the stage another "
                "name, so that a sequence never means something else than it says."
            )
        if not name or any(sign in name for sign in (STAGE_SEPARATOR, TASK_SEPARATOR, " ")):
            raise InputError(
                f"intermediate.stages: the name {name!r} may not be empty or hold "
                f"{STAGE_SEPARATOR!r}, {TASK_SEPARATOR!r} or a space: sequences are written with "
                "them."
            )
        _resolve(section, tasks, name)


def _resolve(
    section: IntermediateSection, tasks: Mapping[str, Task], name: str
) -> tuple[Mixture, TrainingOverrides]:
    stage = section.stages.get(name)
    if stage is None:
        return Mixture.of(name), TrainingOverrides()
    where = f"intermediate.stages.{name}"
    return _mixture(stage, tasks, where), stage.training


def _mixture(stage: StageSection, tasks: Mapping[str, Task], where: str) -> Mixture:
    streams = tuple(_stream(entry, tasks, f"{where}.tasks") for entry in stage.tasks)
    mlm: tuple[Stream, ...] = ()
    if stage.mlm is not None:
        mlm = tuple(_stream(entry, tasks, f"{where}.mlm.tasks") for entry in stage.mlm.tasks)
        for stream in mlm:
            if tasks[stream.task].format != "masked_lm":
                raise InputError(
                    f"{where}.mlm.tasks: {stream.task!r} is not raw text. List it under "
                    f"{where}.tasks instead."
                )
    is_mixture = len(streams) > 1
    return Mixture(
        streams,
        temperature=stage.sampling.temperature if is_mixture else 1.0,
        cap=stage.sampling.cap,
        mlm=mlm,
        mlm_share=stage.mlm.share if stage.mlm else 0.0,
    )


def _stream(entry: StreamSection, tasks: Mapping[str, Task], where: str) -> Stream:
    trained = [name for name, task in tasks.items() if task.trains]
    if entry.task not in tasks:
        raise UnknownNameError("task", entry.task, trained, where)
    task = tasks[entry.task]
    if not task.trains:
        raise InputError(f"{where}: {entry.task!r} has no training set. Take it out of the stage.")
    languages: tuple[str, ...] = ()
    if entry.languages:
        known = tuple(dict.fromkeys((task.train_language, *task.languages)))
        languages = resolve_languages(entry.languages, known, f"{where}: {entry.task}")
    if languages == (task.train_language,):
        languages = ()
    return Stream(entry.task, languages, entry.max_examples)
