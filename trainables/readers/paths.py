"""Which files below the data root hold a split of a task in a language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spaces.languages import expand
from spaces.tasks import FileSource, Split, Task


@dataclass(frozen=True, slots=True)
class Resolved:
    """Files that were found.

    Attributes:
        source: The entry of the task file they belong to.
        groups: What to read: each group in one call of the reader, one after another.
    """

    source: FileSource
    groups: tuple[tuple[Path, ...], ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file, in reading order."""
        return tuple(path for group in self.groups for path in group)


def find_files(task: Task, split: Split, language: str, data_root: Path) -> Resolved | None:
    """Return the first alternative that exists, over the entries in order; ``None`` for none."""
    for source in _entries(task, split, language):
        for alternative in source.paths:
            groups = _match(data_root, expand(alternative, language))
            if groups:
                return Resolved(source, groups)
    return None


def looked_for(task: Task, split: Split, language: str) -> list[str]:
    """List the paths that ``find_files`` tries, relative to the data root."""
    return [
        " and ".join([alternative] if isinstance(alternative, str) else alternative)
        for source in _entries(task, split, language)
        for alternative in expand(source.paths, language)
    ]


def has_any_file(task: Task, data_root: Path) -> bool:
    """Whether the data root holds any file of the task, in any split and language."""
    languages = dict.fromkeys((task.train_language, *task.languages))
    return any(
        find_files(task, split, language, data_root) is not None
        for split in task.files
        for language in languages
    )


def _entries(task: Task, split: Split, language: str) -> list[FileSource]:
    """Entries that hold the language; one without a list of its own holds whatever it names."""
    return [
        source
        for source in task.files.get(split, ())
        if language in (source.languages or _held(source, task, language))
    ]


def _held(source: FileSource, task: Task, language: str) -> tuple[str, ...]:
    named = any("{lang" in part for part in _parts(source)) or "{lang" in str(source.options)
    return (language,) if named else (task.train_language,)


def _parts(source: FileSource) -> list[str]:
    return [
        part
        for alternative in source.paths
        for part in ([alternative] if isinstance(alternative, str) else alternative)
    ]


def _match(data_root: Path, alternative: str | tuple[str, ...]) -> tuple[tuple[Path, ...], ...]:
    if isinstance(alternative, str):
        if "*" in alternative:
            return tuple((path,) for path in sorted(data_root.glob(alternative)) if path.is_file())
        path = data_root / alternative
        return ((path,),) if path.is_file() else ()
    together: list[Path] = []
    for part in alternative:
        matches = _match(data_root, part)
        if not matches:
            return ()
        together += [path for (path,) in matches]
    return (tuple(dict.fromkeys(together)),)
