"""What the names in a study's sequences stand for.

A name is an intermediate task of the catalogue, an entry of the study's ``intermediate.stages``, or
a stream written out (``tydiqa@ar,fi#1000``: a task, languages or groups of them, the first so many
examples of each); several names joined in one stage (``mnli+squad1``) are everything they stand
for, together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spaces.errors import InputError, UnknownNameError, near_matches
from spaces.languages import resolve_languages
from spaces.sequences import STAGE_SEPARATOR, TASK_SEPARATOR, Stage
from spaces.stage_sections import StageSection, StreamSection, TrainingOverrides
from spaces.stages import Mixture, Stream, together
from spaces.study_schema import IntermediateSection
from spaces.tasks import Role, Task

#: Begin the languages and the size of a stream that is written out.
LANGUAGES_SIGN, SIZE_SIGN = "@", "#"

#: What the name of a stage may not hold.
_RESERVED = (STAGE_SEPARATOR, TASK_SEPARATOR, LANGUAGES_SIGN, SIZE_SIGN, ",", " ")


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


def check_name(
    section: IntermediateSection, tasks: Mapping[str, Task], name: str, where: str
) -> None:
    """Check that a name may stand in a sequence.

    Args:
        section: The study's ``intermediate`` section.
        tasks: Tasks by name.
        name: One name, of no mixture.
        where: Where it is from, for messages.

    Raises:
        UnknownNameError: No such task or language.
        InputError: A task that is not to be trained on in between, or a stream that cannot be read.
    """
    if name in section.stages:
        return
    if _is_written_out(name):
        _stream(_parse_stream(name, where), tasks, f"{where}: {name}")
    else:
        check_role(tasks, name, "intermediate", where, section.stages)


def check_role(
    tasks: Mapping[str, Task], name: str, role: Role, where: str, further: Iterable[str] = ()
) -> Task:
    """Return a task by its name and what it is to be used as.

    Args:
        tasks: Tasks by name.
        name: The name.
        role: What it is to be.
        where: Where it is from, for messages.
        further: Other names that could have been meant.

    Raises:
        UnknownNameError: No such task.
        InputError: The task has other roles.
    """
    usable = [*(task.name for task in tasks.values() if role in task.roles), *further]
    if name not in tasks:
        raise UnknownNameError(f"{role} task", name, usable, where)
    task = tasks[name]
    if role not in task.roles:
        raise InputError(
            f"{where}: {name!r} is no {role} task; it is {' and '.join(task.roles)}. "
            f"{near_matches(name, usable)}"
        )
    return task


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
        if not name or any(sign in name for sign in _RESERVED):
            raise InputError(
                f"intermediate.stages: the name {name!r} may not be empty or hold "
                f"{', '.join(map(repr, _RESERVED[:-1]))} or a space: sequences are written with "
                "them."
            )
        _resolve(section, tasks, name)


def _resolve(
    section: IntermediateSection, tasks: Mapping[str, Task], name: str
) -> tuple[Mixture, TrainingOverrides]:
    stage = section.stages.get(name)
    if stage is None and _is_written_out(name):
        where = f"stage {name}"
        return Mixture((_stream(_parse_stream(name, where), tasks, where),)), TrainingOverrides()
    if stage is None:
        return Mixture.of(name), TrainingOverrides()
    where = f"intermediate.stages.{name}"
    return _mixture(stage, tasks, where), stage.training


def _is_written_out(name: str) -> bool:
    return LANGUAGES_SIGN in name or SIZE_SIGN in name


def _parse_stream(text: str, where: str) -> StreamSection:
    """Read the text form of a stream: ``task@languages#max_examples``, either part optional."""
    rest, has_size, size = text.partition(SIZE_SIGN)
    task, has_languages, languages = rest.partition(LANGUAGES_SIGN)
    codes = tuple(languages.split(",")) if has_languages else ()
    is_size = size.isascii() and size.isdigit() and int(size) > 0
    if not task or not all(codes) or (has_size and not is_size):
        raise InputError(
            f"{where}: {text!r} is no stream. Write task@languages#examples, for example "
            "tydiqa@ar,fi#1000; languages are codes or groups with commas, and either part may be "
            "left out."
        )
    return StreamSection(task=task, languages=codes, max_examples=int(size) if has_size else None)


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
