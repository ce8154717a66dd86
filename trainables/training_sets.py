"""Training sets as features: read, tokenised and cached, one file for each task and language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spaces.fingerprints import fingerprint
from spaces.tasks import Catalogue, Task
from trainables.arrow_features import FeatureFile
from trainables.chunks import Job
from trainables.data import data_fingerprint, iter_records
from trainables.feature_cache import FeatureCache
from trainables.feature_files import FeatureWriter
from trainables.formats.base import Tokenizer
from trainables.lean_tokenizer import tokenizer_identity
from trainables.readers.sources import resolve_paths, source_tasks
from trainables.tokenising import Tokenising

#: Bumped by hand whenever a reader, a format or the files' layout would give other features.
ENCODING_VERSION = 1

#: Is told how many records of a set have been tokenised so far.
Counting = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """One task's training set in one language.

    Attributes:
        task: The task.
        labels: Its labels in head order; none where the head does not depend on them.
        language: The language.
        limit: Use at most so many records.
    """

    task: Task
    labels: tuple[str, ...]
    language: str
    limit: int | None = None


class TrainingSets:
    """Finds training sets in the cache, and makes those that are not there.

    Args:
        catalogue: The study's tasks.
        data_root: Folder of the official files; ``None`` for generated and hub tasks alone.
        tokenizer: The base model's tokenizer.
        cache: Where they are kept.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        data_root: Path | None,
        tokenizer: Tokenizer,
        cache: FeatureCache,
    ) -> None:
        self._catalogue = catalogue
        self._data_root = data_root
        self._tokenizer = tokenizer
        self._cache = cache

    def open(
        self,
        chosen: TrainingSet,
        tokenising: Tokenising | None = None,
        count: Counting | None = None,
    ) -> FeatureFile:
        """Return a set's features, tokenised now if the cache does not hold them.

        Args:
            chosen: The set.
            tokenising: Does it; by default, processes that are started and ended here.
            count: Called now and then while it goes on, with the records done so far.

        Raises:
            DataError: The set cannot be read, or one of its records cannot be tokenised.
            InputError: The task's settings do not allow it, or the cache cannot be written.
        """

        def make(writer: FeatureWriter) -> None:
            if tokenising is not None:
                self._write(writer, chosen, tokenising, count)
                return
            with Tokenising(self._tokenizer) as own:
                self._write(writer, chosen, own, count)

        return self._cache.find_or_make(self.key(chosen), make)

    def key(self, chosen: TrainingSet) -> str:
        """Return the fingerprint of everything that decides a set's features."""
        task, language = chosen.task, chosen.language
        return fingerprint(
            {
                "kind": "training set",
                "version": ENCODING_VERSION,
                "tokenizer": self._tokenizer_identity,
                "data": data_fingerprint(
                    task,
                    "train",
                    language,
                    data_root=self._data_root,
                    catalogue=self._catalogue,
                ),
                # The same files may be read in several ways.
                "reading": [_reading(source) for source in self._sources(chosen)],
                "language": language,
                "limit": chosen.limit,
                "format": task.format,
                "max_length": task.max_length,
                "doc_stride": task.doc_stride,
                "options": task.options,
                "labels": chosen.labels,
            }
        )

    @cached_property
    def _tokenizer_identity(self) -> str:
        return tokenizer_identity(self._tokenizer)

    def _write(
        self,
        writer: FeatureWriter,
        chosen: TrainingSet,
        tokenising: Tokenising,
        count: Counting | None,
    ) -> None:
        skipped: Counter[str] = Counter()
        records = iter_records(
            chosen.task,
            "train",
            chosen.language,
            data_root=self._data_root,
            catalogue=self._catalogue,
            limit=chosen.limit,
            skipped=skipped,
        )
        done = 0
        for chunk in tokenising.encode(records, self._job(chosen)):
            writer.write(chunk)
            done += chunk.num_records
            if count is not None:
                count(done)
        writer.finish(skipped)

    def _job(self, chosen: TrainingSet) -> Job:
        paths = [
            str(path)
            for source in self._sources(chosen)
            for path in resolve_paths(source, "train", chosen.language, self._data_root)
        ]
        more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
        origin = ", ".join(paths[:2]) + more or f"task {chosen.task.name!r}"
        return Job(chosen.task, chosen.labels, origin)

    def _sources(self, chosen: TrainingSet) -> tuple[Task, ...]:
        return source_tasks(chosen.task, "train", chosen.language, self._catalogue)


def _reading(source: Task) -> dict[str, Any]:
    """Return what decides how a task's training records are read, JSON-able."""
    wanted = {"version", "labels", "generator", "hub"}
    definition = source.model_dump(mode="json", include=wanted)
    files = [entry.model_dump(mode="json") for entry in source.files.get("train", ())]
    name = source.name if source.generator else None
    return {**definition, "files": files, "name": name}
