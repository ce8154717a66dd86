"""Multiple choice: a context, an optional question and candidate continuations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trainables.formats.base import (
    IGNORE,
    ClassificationHead,
    Encoding,
    Feature,
    Head,
    HeadSettings,
    TaskFormat,
    pad_rows,
)
from trainables.records import ChoiceRecord


class MultipleChoice(TaskFormat[ChoiceRecord, int]):
    """Each choice is one row with one score; cross-entropy over an example's choices.

    The logits are one score a row. Examples may differ in their number of choices: an example's
    label says which is right and in which rows of the batch its choices are.
    """

    def head(self, settings: HeadSettings) -> Head:
        """Make a head with one score a row."""
        return ClassificationHead(settings.hidden_size, 1, settings.dropout)

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
        """Return the right choice (`IGNORE` if unlabelled) and the choices' rows, `E x (1 + C)`.

        Examples with fewer choices have rows of -1 at the end.
        """
        right = torch.tensor([[IGNORE if f.label is None else f.label] for f in features])
        return torch.cat([right, _rows_of_choices(features)], dim=1)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy over each example's choices, summed over examples."""
        scores_EC = _by_example(logits, labels[:, 1:])
        return functional.cross_entropy(
            scores_EC, labels[:, 0], reduction="sum", ignore_index=IGNORE
        )

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[int]:
        """Return the best choice of each feature."""
        return _by_example(logits.cpu(), _rows_of_choices(features)).argmax(-1).tolist()

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


def _rows_of_choices(features: Sequence[Feature]) -> Tensor:
    """Return the batch's rows that each example's choices are in, `E x C`, -1 for none."""
    starts = itertools.accumulate((len(f.rows) for f in features), initial=0)
    rows = [range(start, start + len(f.rows)) for start, f in zip(starts, features, strict=False)]
    return pad_rows(rows, max(len(row) for row in rows), -1)


def _by_example(logits_R1: Tensor, rows_EC: Tensor) -> Tensor:
    """Lay the rows' scores out as `E x C`, missing choices at minus infinity."""
    scores_EC = logits_R1[:, 0].float()[rows_EC.clamp(min=0)]
    return scores_EC.masked_fill(rows_EC < 0, float("-inf"))
