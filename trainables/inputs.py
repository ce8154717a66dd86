"""Records and features of a study's tasks, kept in memory by the process that trains.

One ``TaskInputs`` serves every stage and trial of a worker: a split is read and tokenised once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spaces.errors import DataError
from spaces.stages import Stream
from spaces.study import TrainingSection
from spaces.tasks import Catalogue, Split
from trainables.data import label_names, load_records
from trainables.formats import FORMATS
from trainables.formats.base import Encoding, Feature
from trainables.records import Record


class TaskInputs:
    """Records and features by (task, split, language).

    Args:
        catalogue: The study's tasks.
        training: Limits on the number of examples.
        data_root: Folder of the official files; ``None`` for generated and hub tasks alone.
        tokenizer: The base model's tokenizer.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        training: TrainingSection,
        data_root: Path | None,
        tokenizer: Any,
    ) -> None:
        self.catalogue = catalogue
        self.tokenizer = tokenizer
        self._training = training
        self._data_root = data_root
        self._records: dict[tuple[str, Split, str], list[Record]] = {}
        self._features: dict[tuple[str, Split, str], list[Feature]] = {}
        self._streams: dict[Stream, list[Feature]] = {}
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
            self._features[key] = self._encode(name, self.records(*key), self.encoding(name))
        return self._features[key]

    def train_features(self, stream: Stream) -> list[Feature]:
        """Return the labelled features of a stream of training examples.

        Raises:
            DataError: There is none.
        """
        if stream not in self._streams:
            encoding = self.encoding(stream.task, stream.languages)
            found: list[Feature] = []
            for language in self._languages(stream):
                records = self.records(stream.task, "train", language)[: stream.max_examples]
                found += self._encode(stream.task, records, encoding)
            labelled = [feature for feature in found if feature.label is not None]
            if not labelled:
                raise DataError(
                    f"task {stream.task!r}: none of the {len(found)} examples of its training set "
                    f"({', '.join(self._languages(stream))}) has a label. Put the labelled release "
                    "where the task file looks."
                )
            self._streams[stream] = labelled
        return self._streams[stream]

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

    def _encode(self, name: str, records: list[Record], encoding: Encoding) -> list[Feature]:
        features: list[Feature] = FORMATS[self.catalogue[name].format].encode(records, encoding)
        return features
