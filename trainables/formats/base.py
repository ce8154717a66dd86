"""The interface of a format: how a record becomes model input, head, loss and prediction.

Shape suffixes used in this folder: R rows (sequences in the batch), E examples, T tokens,
H hidden size, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from spaces.tasks import Task
from trainables.records import Record

IGNORE = -100
Tokenizer = Any  # transformers' tokenizer; its stubs are not usable under --strict


@dataclass(frozen=True, slots=True)
class Feature:
    """One example ready for the model.

    Attributes:
        rows: Token ids, special tokens included; several rows for multiple choice.
        record: Index of the record it comes from (a long context gives several features).
        label: The format's own training label; ``None`` when unlabelled.
        num_units: What the loss is averaged over: labelled tokens for tagging, else 1.
        extra: What decoding needs (offsets, word positions).
    """

    rows: tuple[tuple[int, ...], ...]
    record: int
    label: Any
    num_units: int = 1
    extra: Any = None

    @property
    def num_tokens(self) -> int:
        """Tokens over all rows."""
        return sum(len(row) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Encoding:
    """What encoding needs besides the records."""

    tokenizer: Tokenizer
    task: Task
    labels: tuple[str, ...]


class TaskFormat(Protocol):
    """One format; its implementations hold no state."""

    def head(self, hidden_size: int, num_labels: int, dropout: float) -> nn.Module:
        """Make a freshly initialised head."""
        ...

    def encode(self, records: Sequence[Record], encoding: Encoding) -> list[Feature]:
        """Turn records into features; every record gives at least one."""
        ...

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Collate the labels of a batch whose rows are padded to ``num_tokens``."""
        ...

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss *summed* over the batch's units (a scalar)."""
        ...

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[Any]:
        """Return one plain output a feature, small enough to gather over workers."""
        ...

    def decode(
        self,
        records: Sequence[Record],
        features: Sequence[Feature],
        outputs: Sequence[Any],
        encoding: Encoding,
    ) -> Mapping[str, Any]:
        """Turn the outputs of all features into predictions by record id."""
        ...


class ClassificationHead(nn.Module):
    """Dense, tanh, linear on the first token's state, as in RoBERTa.

    Args:
        hidden_size: Size of the encoder's states.
        num_labels: Number of classes; 1 scores a row (multiple choice).
        dropout: Dropout before each linear layer.
    """

    def __init__(self, hidden_size: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, num_labels)

    def forward(self, states_RTH: Tensor) -> Tensor:
        """Return logits, `R x C`."""
        state_RH = self.dropout(states_RTH[:, 0])
        return self.out(self.dropout(torch.tanh(self.dense(state_RH))))  # type: ignore[no-any-return]


class TokenHead(nn.Module):
    """Dropout and one linear layer on every token's state."""

    def __init__(self, hidden_size: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden_size, num_labels)

    def forward(self, states_RTH: Tensor) -> Tensor:
        """Return logits, `R x T x C`."""
        return self.out(self.dropout(states_RTH))  # type: ignore[no-any-return]


def pad_rows(rows: Sequence[Sequence[int]], num_tokens: int, filler: int) -> Tensor:
    """Return rows of whole numbers, padded at their ends, `R x num_tokens`.

    >>> pad_rows([(1, 2, 3), (4,)], 3, 0).tolist()
    [[1, 2, 3], [4, 0, 0]]
    """
    padded = np.full((len(rows), num_tokens), filler, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return torch.from_numpy(padded)


def label_ids(encoding: Encoding) -> dict[str, int]:
    """Return the head's index of every label."""
    return {label: index for index, label in enumerate(encoding.labels)}
