"""Multiple choice: a context, an optional question and candidate continuations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.formats.base import IGNORE, ClassificationHead, Encoding, Feature
from trainables.records import ChoiceRecord


class MultipleChoice:
    """Each choice is one row with one score; cross-entropy over an example's choices.

    The logits are one score a row. ``labels`` gives, row by row, the index of the example and
    whether the row is the right one, so examples may differ in their number of choices.
    """

    def head(self, hidden_size: int, num_labels: int, dropout: float) -> nn.Module:
        """Make a head with one score a row."""
        return ClassificationHead(hidden_size, 1, dropout)

    def encode(self, records: Sequence[ChoiceRecord], encoding: Encoding) -> list[Feature]:
        """Encode each choice as ``<s> context </s></s> question choice </s>``."""
        if not records:
            return []
        contexts, choices = [], []
        for record in records:
            for choice in record.choices:
                contexts.append(record.context)
                choices.append(f"{record.question} {choice}".strip())
        rows = encoding.tokenizer(
            contexts, choices, truncation=True, max_length=encoding.task.max_length
        )["input_ids"]
        features, start = [], 0
        for i, record in enumerate(records):
            end = start + len(record.choices)
            features.append(Feature(tuple(tuple(row) for row in rows[start:end]), i, record.label))
            start = end
        return features

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Return the right choice (`IGNORE` if unlabelled) and the number of choices, `E x 2`."""
        return torch.tensor(
            [[IGNORE if f.label is None else f.label, len(f.rows)] for f in features]
        )

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy over each example's choices, summed over examples."""
        scores_EC = _by_example(logits[:, 0].float(), labels[:, 1].tolist())
        return functional.cross_entropy(
            scores_EC, labels[:, 0], reduction="sum", ignore_index=IGNORE
        )

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[Any]:
        """Return the best choice of each feature."""
        scores_EC = _by_example(logits[:, 0].float(), [len(f.rows) for f in features])
        return scores_EC.argmax(-1).tolist()  # type: ignore[no-any-return]

    def decode(
        self,
        records: Sequence[ChoiceRecord],
        features: Sequence[Feature],
        outputs: Sequence[int],
        encoding: Encoding,
    ) -> Mapping[str, int]:
        """Return the choice's index by record id."""
        return {
            records[feature.record].id: output
            for feature, output in zip(features, outputs, strict=True)
        }


def _by_example(scores_R: Tensor, num_choices: list[int]) -> Tensor:
    """Lay the rows' scores out as `E x C`, missing choices at minus infinity."""
    return nn.utils.rnn.pad_sequence(
        list(scores_R.split(num_choices)), batch_first=True, padding_value=float("-inf")
    )
