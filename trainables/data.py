"""Records of a task: reading them, their labels, and what identifies their content.

Where they come from is decided in ``trainables.readers.sources``, whose functions are offered here
as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from spaces.errors import DataError, InputError, UnknownNameError
from spaces.fingerprints import canonical_json, fingerprint
from spaces.languages import expand
from spaces.tasks import Catalogue, Split, Task
from trainables import mini
from trainables.readers import READERS, ReadContext
from trainables.readers.hub import read_hub
from trainables.readers.paths import Resolved
from trainables.readers.sources import (
    available,
    available_languages,
    check_sources,
    locate,
    missing,
    resolve_paths,
    source_tasks,
)
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
)

__all__ = [
    "available",
    "available_languages",
    "check_sources",
    "data_fingerprint",
    "is_labelled",
    "iter_records",
    "label_names",
    "load_records",
    "resolve_paths",
    "source_tasks",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Generator:
    """Makes records instead of reading them.

    Attributes:
        records: Task, split and language to records.
        size: Task and split to the number of examples, without making them.
        identity: Fingerprint of whatever decides the records.
    """

    records: Callable[[str, Split, str], Iterable[Record]]
    size: Callable[[str, Split], int]
    identity: Callable[[], str]


GENERATORS = {"mini": Generator(mini.records, mini.size, mini.identity)}

_file_hashes: dict[tuple[str, int, int], str] = {}
_record_hashes: dict[tuple[str, str, str, str], str] = {}
_label_names: dict[tuple[str, str], frozenset[str]] = {}


def load_records(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Read a split of a task in a language into memory.

    Where a release repeats an id, the second record's becomes ``id#2`` and so on; where several
    files or parts are read, ids begin with the file's or the part's name.

    Args:
        task: The task.
        split: ``train``, ``dev`` or ``test``.
        language: Two-letter code.
        data_root: Folder of the releases; ``None`` where there is none.
        catalogue: Where ``train_task`` and ``parts`` are found; the built-in one by default.
        limit: Read at most so many records (for retrieval: queries).

    Raises:
        DataError: No source holds it, or one is malformed or empty.
    """
    records = iter_records(
        task, split, language, data_root=data_root, catalogue=catalogue, limit=limit
    )
    return list(_unique(records))


def iter_records(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
    limit: int | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[Record]:
    """Read the records of ``load_records`` one at a time, ids as the release has them.

    Of a task made of parts, a limit is shared out evenly over the parts.

    Args:
        task: The task.
        split: ``train``, ``dev`` or ``test``.
        language: Two-letter code.
        data_root: Folder of the releases.
        catalogue: Where ``train_task`` and ``parts`` are found; the built-in one by default.
        limit: Read at most so many records (for retrieval: queries).
        skipped: Is told how many records were left out, by reason, as ``ReadContext.skipped``.

    Raises:
        DataError: As ``load_records``.
    """
    sources = source_tasks(task, split, language, catalogue)
    num_read = 0
    for position, source in enumerate(sources):
        share = limit
        if limit is not None:
            share = limit // len(sources) + (position < limit % len(sources))
        for record in _limited(_records(source, split, language, data_root, skipped), share):
            num_read += 1
            if len(sources) > 1:
                record = dataclasses.replace(record, id=f"{source.name}/{record.id}")  # noqa: PLW2901
            yield record
    if num_read == 0 and limit != 0:
        raise DataError(f"task {task.name!r}, {split} split, {language!r}: there is no record.")


def is_labelled(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
) -> bool:
    """Whether the first record of a split carries a label, as blanked test sets do not.

    Reads no further than that record; of retrieval, that is the first query.

    Raises:
        DataError: As ``load_records``.
    """
    records = iter_records(task, split, language, data_root=data_root, catalogue=catalogue)
    match next((one for one in records if _is_asked(one)), None):
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


def _is_asked(record: Record) -> bool:
    """Whether a record is one that an answer is wanted for, not a candidate for answers."""
    return not isinstance(record, RetrievalRecord) or record.is_query


def data_fingerprint(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
) -> str:
    """Return the SHA-256 that identifies a split's content, wherever it is stored.

    Of files it is taken over their bytes, of hub records over the records, and of generated ones
    over what generates them. A file is read again only when its size or modification time has
    changed.

    Raises:
        DataError: As ``load_records``.
    """
    identities = [
        _content(source, split, language, data_root)
        for source in source_tasks(task, split, language, catalogue)
    ]
    return identities[0] if len(identities) == 1 else fingerprint(identities)


def count_examples(
    task: Task,
    split: Split,
    language: str,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
    limit: int | None = None,
) -> int:
    """Return how many records ``load_records`` would.

    Raises:
        DataError: As ``load_records``.
    """
    sources = source_tasks(task, split, language, catalogue)
    if len(sources) == 1 and sources[0].generator:
        size = _generator(sources[0].generator).size(sources[0].name, split)
        return size if limit is None else min(size, limit)
    records = iter_records(
        task, split, language, data_root=data_root, catalogue=catalogue, limit=limit
    )
    return sum(1 for _ in records)


def label_names(
    task: Task,
    *,
    data_root: Path | None,
    catalogue: Catalogue | None = None,
    languages: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the labels in head order: the task's closed list, or those of its training sets.

    Labels of training sets are sorted. Formats without labels (question answering, multiple
    choice, retrieval, masked language modelling) have none.

    Args:
        task: The task.
        data_root: Folder of the releases.
        catalogue: Where ``train_task`` and ``parts`` are found.
        languages: Languages of the training sets; the task's training language when empty.

    Raises:
        DataError: The training set cannot be read or has no labels.
    """
    if task.labels or task.format not in ("sequence_classification", "token_classification"):
        return task.labels
    labels: set[str] = set()
    for language in languages or (task.train_language,):
        labels.update(_labels_of(task, language, data_root, catalogue))
    if not labels:
        raise DataError(f"task {task.name!r}: its training set holds no label.")
    return tuple(sorted(labels))


def _labels_of(
    task: Task, language: str, data_root: Path | None, catalogue: Catalogue | None
) -> frozenset[str]:
    content = data_fingerprint(task, "train", language, data_root=data_root, catalogue=catalogue)
    key = (task.identity, content)
    if key not in _label_names:
        labels: set[str] = set()
        for record in iter_records(
            task, "train", language, data_root=data_root, catalogue=catalogue
        ):
            if isinstance(record, TaggingRecord):
                labels.update(record.tags or ())
            elif isinstance(record, ClassificationRecord) and record.label is not None:
                labels.add(record.label)
        _label_names[key] = frozenset(labels)
    return _label_names[key]


def _content(task: Task, split: Split, language: str, data_root: Path | None) -> str:
    """Return the SHA-256 of what one source holds."""
    if task.generator:
        return fingerprint([_generator(task.generator).identity(), task.name, split, language])
    found = locate(task, split, language, data_root)
    if isinstance(found, Resolved):
        hashes = [[_hash_file(path) for path in group] for group in found.groups]
        return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()
    key = (task.identity, split, language, str(data_root))
    if key not in _record_hashes:
        digest = hashlib.sha256()
        for record in _records(task, split, language, data_root):
            line = [type(record).__name__, dataclasses.asdict(record)]
            digest.update(canonical_json(line).encode() + b"\n")
        _record_hashes[key] = digest.hexdigest()
    return _record_hashes[key]


def _records(
    task: Task,
    split: Split,
    language: str,
    data_root: Path | None,
    skipped: Counter[str] | None = None,
) -> Iterator[Record]:
    if task.generator:
        yield from _generator(task.generator).records(task.name, split, language)
        return
    found = locate(task, split, language, data_root)
    if found is None:
        raise missing(task, split, language, data_root)
    if not isinstance(found, Resolved):
        yield from read_hub(task, split, language, data_root, skipped)
        return
    source = found.source
    if source.reader not in READERS:
        raise UnknownNameError("reader", source.reader, READERS, f"task {task.name!r}")
    options = expand(source.options, language)
    skipped = Counter() if skipped is None else skipped
    for paths in found.groups:
        context = ReadContext(
            paths, split, language, task.labels, source.labelled, options, skipped
        )
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


def _generator(name: str) -> Generator:
    if name not in GENERATORS:
        raise UnknownNameError("generator", name, GENERATORS)
    return GENERATORS[name]


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
