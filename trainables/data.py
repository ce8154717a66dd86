"""Records of a task: which source holds them, reading them, and what identifies them.

A task's records come from one source: files below the data root, or else the Hugging Face hub (a
local folder in hub layout, then the network). A task of which the data root holds any file is never
completed from the network, so that two releases are not mixed unnoticed.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from spaces.errors import DataError, InputError, UnknownNameError
from spaces.fingerprints import canonical_json
from spaces.languages import expand
from spaces.tasks import Catalogue, Role, Split, Task, load_catalogue
from trainables import mini
from trainables.readers import READERS, ReadContext
from trainables.readers.hub import is_offline, local_folder, read_hub
from trainables.readers.paths import Resolved, find_files, has_any_file, looked_for
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
)

GENERATORS: dict[str, Callable[[str, Split, str], Iterable[Record]]] = {"mini": mini.records}

_file_hashes: dict[tuple[str, int, int], str] = {}
_record_hashes: dict[tuple[str, str, str, str], str] = {}
_label_names: dict[tuple[str, str], tuple[str, ...]] = {}


def source_task(task: Task, split: Split, language: str, catalogue: Catalogue | None) -> Task:
    """Return the task whose files hold a split: ``train_task`` for training and its own dev.

    Raises:
        UnknownNameError: ``train_task`` is not in the catalogue.
    """
    own_dev = split == "dev" and language == task.train_language
    if task.train_task is None or not (split == "train" or own_dev):
        return task
    return (catalogue or load_catalogue())[task.train_task]


def load_records(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Read a split of a task in a language.

    Where a release repeats an id, the second record's becomes ``id#2`` and so on; where several
    files are read, ids begin with the file's name.

    Args:
        task: The task.
        split: ``train``, ``dev`` or ``test``.
        language: Two-letter code.
        data_root: Folder of the releases; ``None`` where there is none.
        catalogue: Where ``train_task`` is found; the built-in one by default.
        limit: Read at most so many records (for retrieval: queries).

    Raises:
        DataError: No source holds it, or one is malformed or empty.
    """
    task = source_task(task, split, language, catalogue)
    records = list(_limited(_unique(_records(task, split, language, data_root)), limit))
    if not records and limit != 0:
        raise DataError(f"task {task.name!r}, {split} split, {language!r}: there is no record.")
    return records


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
    task = source_task(task, split, language, catalogue)
    if task.generator:
        return language in (*task.languages, task.train_language) and (
            split != "train" or task.trains
        )
    return _locate(task, split, language, data_root) is not None


def available_languages(
    task: Task, split: Split, data_root: Path | None, catalogue: Catalogue | None = None
) -> tuple[str, ...]:
    """Return the task's languages that some source holds for a split, in the task's order."""
    return tuple(
        language
        for language in task.languages
        if available(task, split, language, data_root, catalogue)
    )


def is_labelled(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
) -> bool:
    """Whether the first record of a split carries a label, as blanked test sets do not.

    Raises:
        DataError: As ``load_records``.
    """
    first = load_records(task, split, language, data_root=data_root, catalogue=catalogue, limit=1)[
        0
    ]
    match first:
        case ClassificationRecord(label=label) | ChoiceRecord(label=label):
            return label is not None
        case TaggingRecord(tags=tags):
            return tags is not None
        case QuestionRecord(answers=answers):
            return answers is not None
        case RetrievalRecord(gold=gold):
            return gold is not None
        case _:
            return False


def data_fingerprint(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
) -> str:
    """Return the SHA-256 that identifies a split's content, wherever it is stored.

    Of files it is taken over their bytes, of generated and hub records over the records. A file is
    read again only when its size or modification time has changed.

    Raises:
        DataError: As ``load_records``.
    """
    task = source_task(task, split, language, catalogue)
    found = None if task.generator else _locate(task, split, language, data_root)
    if isinstance(found, Resolved):
        hashes = [[_hash_file(path) for path in group] for group in found.groups]
        return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()
    key = (task.identity, split, language, str(data_root))
    if key not in _record_hashes:
        digest = hashlib.sha256()
        for record in load_records(task, split, language, data_root=data_root, catalogue=catalogue):
            line = [type(record).__name__, dataclasses.asdict(record)]
            digest.update(canonical_json(line).encode() + b"\n")
        _record_hashes[key] = digest.hexdigest()
    return _record_hashes[key]


def label_names(
    task: Task, *, data_root: Path | None, catalogue: Catalogue | None = None
) -> tuple[str, ...]:
    """Return the labels in head order: the task's closed list, or those of its training set.

    Labels of a training set are sorted. Formats without labels (question answering, multiple
    choice, retrieval, masked language modelling) have none.

    Raises:
        DataError: The training set cannot be read or has no labels.
    """
    if task.labels or task.format not in ("sequence_classification", "token_classification"):
        return task.labels
    language = task.train_language
    content = data_fingerprint(task, "train", language, data_root=data_root, catalogue=catalogue)
    key = (task.identity, content)
    if key not in _label_names:
        labels: set[str] = set()
        for record in load_records(
            task, "train", language, data_root=data_root, catalogue=catalogue
        ):
            if isinstance(record, TaggingRecord):
                labels.update(record.tags or ())
            elif isinstance(record, ClassificationRecord) and record.label is not None:
                labels.add(record.label)
        if not labels:
            raise DataError(f"task {task.name!r}: its training set holds no label.")
        _label_names[key] = tuple(sorted(labels))
    return _label_names[key]


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
                raise _missing(task, split, task.languages[0], data_root)
        for language in wanted:
            _check_one(source_task(task, split, language, catalogue), split, language, data_root)
        needed[split] = wanted
    return needed


def _check_one(task: Task, split: Split, language: str, data_root: Path | None) -> None:
    if task.generator:
        return
    found = _locate(task, split, language, data_root)
    if found is None:
        raise _missing(task, split, language, data_root)
    for path in found.files if isinstance(found, Resolved) else ():
        if path.stat().st_size == 0:
            raise DataError(f"{path}: empty, but task {task.name!r} reads its {split} split there.")


def _records(task: Task, split: Split, language: str, data_root: Path | None) -> Iterator[Record]:
    if task.generator:
        yield from _generator(task.generator)(task.name, split, language)
        return
    found = _locate(task, split, language, data_root)
    if found is None:
        raise _missing(task, split, language, data_root)
    if not isinstance(found, Resolved):
        yield from read_hub(task, split, language, data_root)
        return
    source = found.source
    if source.reader not in READERS:
        raise UnknownNameError("reader", source.reader, READERS, f"task {task.name!r}")
    options = expand(source.options, language)
    for paths in found.groups:
        context = ReadContext(paths, split, language, task.labels, source.labelled, options)
        try:
            for record in READERS[source.reader](context):
                if len(found.groups) == 1:
                    yield record
                else:
                    yield dataclasses.replace(record, id=f"{paths[0].stem}/{record.id}")
        except DataError:
            raise
        except InputError as error:
            raise InputError(f"task {task.name!r}, {split} split: {error}") from None


def _generator(name: str) -> Callable[[str, Split, str], Iterable[Record]]:
    if name not in GENERATORS:
        raise UnknownNameError("generator", name, GENERATORS)
    return GENERATORS[name]


def _locate(
    task: Task, split: Split, language: str, data_root: Path | None
) -> Resolved | str | None:
    """Return the files, the name of the hub's data set, or ``None`` where no source holds it."""
    if data_root is not None:
        found = find_files(task, split, language, data_root)
        if found is not None:
            return found
    hub = task.hub
    if hub is None or split not in hub.splits:
        return None
    folder = local_folder(hub, data_root)
    if folder is not None:
        config = expand(hub.config, language)
        has_card = (folder / "README.md").exists()
        return hub.path if not config or has_card or (folder / config).is_dir() else None
    if is_offline() or (data_root is not None and has_any_file(task, data_root)):
        return None
    return hub.path


def _missing(task: Task, split: Split, language: str, data_root: Path | None) -> DataError:
    what = f"task {task.name!r} has no {split} data in {language!r}"
    paths = looked_for(task, split, language)
    tried = f"Looked for {'; '.join(paths)}" if paths else "Its task file names no files for it"
    if data_root is None:
        remedy = "Give the folder of the releases with --data-root."
        return DataError(f"{what}. {tried}, but there is no data root. {remedy}")
    others = [
        other for other in task.languages if _locate(task, split, other, data_root) is not None
    ]
    there = f"Languages that are there: {', '.join(others)}. " if others else ""
    copy = f", put a copy of the hub's {task.hub.path} at hub/{task.hub.path}" if task.hub else ""
    remedy = f"Put one of these files there{copy}, or leave the language out."
    return DataError(f"{what}. {tried} below the data root {data_root}. {there}{remedy}")


def _unique(records: Iterable[Record]) -> Iterator[Record]:
    seen: Counter[str] = Counter()
    for record in records:
        seen[record.id] += 1
        if seen[record.id] == 1:
            yield record
        else:
            yield dataclasses.replace(record, id=f"{record.id}#{seen[record.id]}")


def _limited(records: Iterator[Record], limit: int | None) -> Iterator[Record]:
    if limit is None:
        return records
    return _limited_queries(records, limit) if limit else iter(())


def _limited_queries(records: Iterator[Record], limit: int) -> Iterator[Record]:
    """Cut to ``limit`` records; retrieval keeps every candidate of the queries it keeps."""
    first = next(records, None)
    if first is None:
        return
    yield first
    if not isinstance(first, RetrievalRecord):
        yield from islice(records, limit - 1)
        return
    num_queries = int(first.is_query)
    for record in records:
        if isinstance(record, RetrievalRecord) and record.is_query:
            num_queries += 1
            if num_queries > limit:
                continue
        yield record


def _hash_file(path: Path) -> str:
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _file_hashes:
        with path.open("rb") as file:
            _file_hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _file_hashes[key]
