"""Records and features of a study's tasks, for the process that trains.

One ``TaskInputs`` serves every stage and trial of a worker. Evaluation sets are read and tokenised
once and kept in memory; training sets come from the cache of tokenised ones and stay on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spaces.errors import DataError
from spaces.stages import Stream
from spaces.study import TrainingSection
from spaces.tasks import Catalogue, Split
from trainables.arrow_features import ArrowFeatures, FeatureFile
from trainables.data import label_names, load_records
from trainables.feature_cache import FeatureCache
from trainables.formats import FORMATS
from trainables.formats.base import Encoding, Feature
from trainables.records import Record
from trainables.tokenising import Tokenising
from trainables.training_sets import Counting, TrainingSet, TrainingSets


class TaskInputs:
    """Records and features by (task, split, language).

    Args:
        catalogue: The study's tasks.
        training: Limits on the number of examples.
        data_root: Folder of the official files; ``None`` for generated and hub tasks alone.
        tokenizer: The base model's tokenizer.
        cache_dir: Folder of the tokenised training sets; the default one for ``None``.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        training: TrainingSection,
        data_root: Path | None,
        tokenizer: Any,
        cache_dir: Path | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.tokenizer = tokenizer
        self._training = training
        self._data_root = data_root
        self._sets = TrainingSets(catalogue, data_root, tokenizer, FeatureCache(cache_dir))
        self._records: dict[tuple[str, Split, str], list[Record]] = {}
        self._features: dict[tuple[str, Split, str], list[Feature]] = {}
        self._streams: dict[Stream, ArrowFeatures] = {}
        self._labels: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    def records(self, name: str, split: Split, language: str) -> list[Record]:
        """Return a split's records, at most the study's limit."""
        key = (name, split, language)
        if key not in self._records:
            training = self._training
            self._records[key] = load_records(
                self.catalogue[name],
                split,
                language,
                data_root=self._data_root,
                catalogue=self.catalogue,
                limit=training.max_train_examples
                if split == "train"
                else training.max_eval_examples,
            )
        return self._records[key]

    def features(self, name: str, split: Split, language: str) -> list[Feature]:
        """Return a split's features, for evaluation."""
        key = (name, split, language)
        if key not in self._features:
            form = FORMATS[self.catalogue[name].format]
            self._features[key] = form.encode(self.records(*key), self.encoding(name))
        return self._features[key]

    def train_features(
        self,
        stream: Stream,
        tokenising: Tokenising | None = None,
        count: Counting | None = None,
    ) -> ArrowFeatures:
        """Return the labelled features of a stream of training examples, from the cache.

        Args:
            stream: The stream; the training sets of its languages follow each other.
            tokenising: Makes what is not in the cache; by default as ``TrainingSets.open``.
            count: Called now and then while that goes on, with the records done so far.

        Raises:
            DataError: There is none, or a record that cannot be read or tokenised.
            InputError: The task's settings do not allow it, or the cache cannot be written.
        """
        if stream not in self._streams:
            features = ArrowFeatures(self._open(stream, tokenising, count))
            if not features:
                raise DataError(
                    f"task {stream.task!r}: none of the {features.counts.num_records} examples of "
                    f"its training set ({', '.join(self._languages(stream))}) has a label. Put the "
                    "labelled release where the task file looks."
                )
            self._streams[stream] = features
        return self._streams[stream]

    def _open(
        self, stream: Stream, tokenising: Tokenising | None, count: Counting | None
    ) -> list[FeatureFile]:
        limits = (stream.max_examples, self._training.max_train_examples)
        limit = min((limit for limit in limits if limit is not None), default=None)
        labels = self.labels(stream.task, stream.languages)
        files: list[FeatureFile] = []

        def count_on(num_done: int) -> None:
            if count is not None:
                count(sum(file.counts.num_records for file in files) + num_done)

        for language in self._languages(stream):
            chosen = TrainingSet(self.catalogue[stream.task], labels, language, limit)
            files.append(self._sets.open(chosen, tokenising, count_on))
        return files

    def encoding(self, name: str, languages: tuple[str, ...] = ()) -> Encoding:
        """Return what encoding and decoding of a task need.

        Args:
            name: The task.
            languages: Languages it is trained in; its training language when empty.
        """
        return Encoding(self.tokenizer, self.catalogue[name], self.labels(name, languages))

    def labels(self, name: str, languages: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a task's labels in head order; none where the head does not depend on them."""
        task = self.catalogue[name]
        if task.format not in ("sequence_classification", "token_classification"):
            return ()
        key = (name, languages)
        if key not in self._labels:
            self._labels[key] = label_names(
                task, data_root=self._data_root, catalogue=self.catalogue, languages=languages
            )
        return self._labels[key]

    def head_size(self, stream: Stream) -> int:
        """Return the number of classes of a stream's head (0 where its format decides)."""
        return len(self.labels(stream.task, stream.languages))

    def _languages(self, stream: Stream) -> tuple[str, ...]:
        return stream.languages or (self.catalogue[stream.task].train_language,)
