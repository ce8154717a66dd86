"""Where a task's records are: the files, the hub, and what is missing.

A task's records come from one source: files below the data root, or else the Hugging Face hub (a
local folder in hub layout, then the network). A task of which the data root holds any file is never
completed from the network, so that two releases are not mixed unnoticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spaces.errors import DataError, InputError, UnknownNameError
from spaces.languages import expand
from spaces.tasks import Catalogue, Role, Split, Task, load_catalogue
from trainables.readers.hub import holds, is_offline, local_folder
from trainables.readers.paths import Resolved, find_files, has_any_file, looked_for


def source_tasks(
    task: Task, split: Split, language: str, catalogue: Catalogue | None
) -> tuple[Task, ...]:
    """Return the tasks whose files hold a split, one after the other.

    That is the task itself; its ``parts``; or ``train_task`` for training and for the dev set of
    the training language.

    Raises:
        UnknownNameError: One of them is not in the catalogue.
        InputError: A part of another format, or with other labels.
    """
    tasks = catalogue or load_catalogue()
    if task.parts:
        parts = tuple(tasks[name] for name in task.parts)
        for part in parts:
            if part.format != task.format or part.labels != task.labels:
                raise InputError(
                    f"task {task.name!r}: its part {part.name!r} has another format or other "
                    "labels. Parts share one head: give them the same."
                )
        return tuple(
            source for part in parts for source in source_tasks(part, split, language, tasks)
        )
    own_dev = split == "dev" and language == task.train_language
    if task.train_task is None or not (split == "train" or own_dev):
        return (task,)
    return source_tasks(tasks[task.train_task], split, language, tasks)


def resolve_paths(
    task: Task, split: Split, language: str, data_root: Path | None
) -> tuple[Path, ...]:
    """Return the files a split is read from, in reading order; empty where none exists."""
    found = find_files(task, split, language, data_root) if data_root else None
    return found.files if found else ()


def available(
    task: Task,
    split: Split,
    language: str,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
) -> bool:
    """Whether some source holds a split in a language; the network counts unless it is forbidden.

    Only existence is checked, so this is quick and needs no network.
    """
    return all(
        _is_generated(source, split, language)
        if source.generator
        else locate(source, split, language, data_root) is not None
        for source in source_tasks(task, split, language, catalogue)
    )


def _is_generated(task: Task, split: Split, language: str) -> bool:
    """Whether a generator makes a split: training data in the training language, text in all."""
    if split != "train":
        return language in (*task.languages, task.train_language)
    if task.format == "masked_lm":
        return language in task.languages
    return task.trains and language == task.train_language


def available_languages(
    task: Task, split: Split, data_root: Path | None, catalogue: Catalogue | None = None
) -> tuple[str, ...]:
    """Return the task's languages that some source holds for a split, in the task's order."""
    return tuple(
        language
        for language in task.languages
        if available(task, split, language, data_root, catalogue)
    )


def check_data_root(data_root: Path) -> None:
    """Check that there is such a folder.

    Raises:
        InputError: There is not.
    """
    if not data_root.is_dir():
        raise InputError(
            f"--data-root: {str(data_root)!r} is not a folder. Give the one with the releases."
        )


def check_sources(
    task: Task,
    languages: Sequence[str] | None,
    data_root: Path | None,
    *,
    role: Role,
    splits: Sequence[Split] = ("train",),
    catalogue: Catalogue | None = None,
) -> dict[Split, tuple[str, ...]]:
    """Check that everything a study needs of a task exists and is not empty.

    Args:
        task: The task.
        languages: The languages the study lists; ``None`` for all that are available.
        data_root: Folder of the releases.
        role: As what the study uses it. A target's ``train`` is needed in its training language
            alone, an intermediate task's in the listed languages.
        splits: What is needed.
        catalogue: Where ``train_task`` is found.

    Returns:
        The languages of each split.

    Raises:
        DataError: A split, or a listed language, that no source holds; or an empty file.
        UnknownNameError: A listed language the task does not have.
    """
    known = dict.fromkeys((*task.languages, task.train_language))
    for language in languages or ():
        if language not in known:
            raise UnknownNameError("language", language, known, f"task {task.name!r}")
    needed: dict[Split, tuple[str, ...]] = {}
    for split in splits:
        if split == "train":
            listed = languages if role == "intermediate" else None
            wanted = tuple(listed or (task.train_language,))
        elif languages:
            wanted = tuple(languages)
        else:
            wanted = available_languages(task, split, data_root, catalogue)
            if not wanted:
                raise missing(task, split, task.languages[0], data_root)
        for language in wanted:
            for source in source_tasks(task, split, language, catalogue):
                _check_one(source, split, language, data_root)
        needed[split] = wanted
    return needed


def _check_one(task: Task, split: Split, language: str, data_root: Path | None) -> None:
    if task.generator:
        if not _is_generated(task, split, language):
            raise missing(task, split, language, data_root)
        return
    found = locate(task, split, language, data_root)
    if found is None:
        raise missing(task, split, language, data_root)
    for path in found.files if isinstance(found, Resolved) else ():
        if path.stat().st_size == 0:
            raise DataError(f"{path}: empty, but task {task.name!r} reads its {split} split there.")


def locate(
    task: Task, split: Split, language: str, data_root: Path | None
) -> Resolved | str | None:
    """Return the files, the name of the hub's data set, or ``None`` where no source holds it.

    ``train_task`` is not followed: give the task whose files hold the split.
    """
    if data_root is not None:
        found = find_files(task, split, language, data_root)
        if found is not None:
            return found
    hub = task.hub
    if hub is None or split not in hub.splits or not holds(hub, task, language):
        return None
    folder = local_folder(hub, data_root)
    if folder is not None:
        config = expand(hub.config, language)
        has_card = (folder / "README.md").exists()
        return hub.path if not config or has_card or (folder / config).is_dir() else None
    if is_offline() or (data_root is not None and has_any_file(task, data_root)):
        return None
    return hub.path


def missing(task: Task, split: Split, language: str, data_root: Path | None) -> DataError:
    """Build the error for a split that no source holds: what was looked for, and the remedy."""
    what = f"task {task.name!r} has no {split} data in {language!r}"
    if task.generator:
        return DataError(
            f"{what}: it is generated, with training data in {task.train_language!r} alone. Leave "
            "the language out."
        )
    paths = looked_for(task, split, language)
    tried = f"Looked for {'; '.join(paths)}" if paths else "Its task file names no files for it"
    if data_root is None:
        remedy = "Give the folder of the releases with --data-root."
        return DataError(f"{what}. {tried}, but there is no data root. {remedy}")
    others = [
        other for other in task.languages if locate(task, split, other, data_root) is not None
    ]
    there = f"Languages that are there: {', '.join(others)}. " if others else ""
    copy = f", put a copy of the hub's {task.hub.path} at hub/{task.hub.path}" if task.hub else ""
    remedy = f"Put one of these files there{copy}, or leave the language out."
    return DataError(f"{what}. {tried} below the data root {data_root}. {there}{remedy}")
