"""Records and features of a study's tasks, kept in memory by the process that trains.

One ``TaskInputs`` serves every stage and trial of a worker: a split is read and tokenised once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spaces.errors import DataError
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
        self._labels: dict[str, tuple[str, ...]] = {}

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
        """Return a split's features."""
        key = (name, split, language)
        if key not in self._features:
            task = self.catalogue[name]
            self._features[key] = FORMATS[task.format].encode(
                self.records(*key), self.encoding(name)
            )
        return self._features[key]

    def train_features(self, name: str) -> list[Feature]:
        """Return the labelled features of a task's training set in its training language.

        Raises:
            DataError: There is none.
        """
        language = self.catalogue[name].train_language
        features = self.features(name, "train", language)
        labelled = [feature for feature in features if feature.label is not None]
        if not labelled:
            raise DataError(
                f"task {name!r}: none of the {len(features)} examples of its training set "
                f"({language}) has a label. Put the labelled release where the task file looks."
            )
        return labelled

    def encoding(self, name: str) -> Encoding:
        """Return what encoding and decoding of a task need."""
        return Encoding(self.tokenizer, self.catalogue[name], self.labels(name))

    def labels(self, name: str) -> tuple[str, ...]:
        """Return a task's labels in head order; none where the head does not depend on them."""
        task = self.catalogue[name]
        if task.format not in ("sequence_classification", "token_classification"):
            return ()
        if name not in self._labels:
            self._labels[name] = task.labels or label_names(
                task, data_root=self._data_root, catalogue=self.catalogue
            )
        return self._labels[name]

    def head_size(self, name: str) -> int:
        """Return the number of classes of a task's head (0 where its format decides)."""
        return len(self.labels(name))
