"""Sequence classification: one text or a pair of texts, one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from spaces.errors import DataError, near_matches
from trainables.formats.base import (
    ClassificationHead,
    Encoding,
    Feature,
    Head,
    HeadSettings,
    TaskFormat,
    label_ids,
)
from trainables.records import ClassificationRecord


class SequenceClassification(TaskFormat[ClassificationRecord, int]):
    """Cross-entropy on the first token's state."""

    def head(self, settings: HeadSettings) -> Head:
        """Make a RoBERTa classification head."""
        return ClassificationHead(settings.hidden_size, settings.num_labels, settings.dropout)

    def encode(self, records: Sequence[ClassificationRecord], encoding: Encoding) -> list[Feature]:
        """Encode pairs as ``<s> a </s></s> b </s>``, the longer text cut first.

        Raises:
            DataError: A label that is not one of the task's.
        """
        if not records:
            return []
        pairs = [record.text_pair for record in records]
        rows = encoding.tokenizer(
            [record.text for record in records],
            None if all(pair is None for pair in pairs) else [pair or "" for pair in pairs],
            truncation=True,
            max_length=encoding.task.max_length,
        )["input_ids"]
        index = label_ids(encoding)
        for record in records:
            if record.label is not None and record.label not in index:
                raise DataError(
                    f"task {encoding.task.name!r}: record {record.id!r} has the label "
                    f"{record.label!r}, which is not one of the task's. "
                    f"{near_matches(record.label, index)}"
                )
        return [
            Feature((tuple(row),), i, None if record.label is None else index[record.label])
            for i, (row, record) in enumerate(zip(rows, records, strict=True))
        ]

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Return class indices, `E`."""
        return torch.tensor([feature.label for feature in features])

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over examples."""
        return functional.cross_entropy(logits.float(), labels, reduction="sum")

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[int]:
        """Return the class index of each feature."""
        return logits.argmax(-1).tolist()

    def decode(
        self,
        records: Sequence[ClassificationRecord],
        features: Sequence[Feature],
        outputs: Sequence[int],
        encoding: Encoding,
    ) -> Mapping[str, str]:
        """Return the label's name by record id."""
        return {
            records[feature.record].id: encoding.labels[output]
            for feature, output in zip(features, outputs, strict=True)
        }
