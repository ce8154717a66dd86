"""The interface of a format: how a record becomes model input, head, loss and prediction.

Shape suffixes used in this folder: R rows (sequences in the batch), E examples, T tokens,
H hidden size, C classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from spaces.tasks import Task
from trainables.records import Record

RecordT = TypeVar("RecordT", bound=Record)
OutputT = TypeVar("OutputT")
IGNORE = -100
Tokenizer = Any  # transformers' tokenizer; its stubs are not usable under --strict


@dataclass(frozen=True, slots=True)
class Feature:
    """One example ready for the model.

    Attributes:
        rows: Token ids, special tokens included; several rows for multiple choice, and a query
            with its candidate where retrieval is trained.
        record: Index of the record it comes from (a long text gives several features).
        label: The format's own training label; ``None`` when unlabelled.
        num_units: What the loss is averaged over: labelled words for tagging, hidden subwords for
            masked language modelling (once they are drawn), else 1.
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


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What a head is made from.

    Attributes:
        task: Name of the task, for messages.
        hidden_size: Size of the encoder's states.
        num_layers: Layers of the encoder.
        num_labels: Number of classes; 0 where the format decides.
        dropout: Dropout of the head.
        options: The task's own options.
        language_model_head: The base model's, where a task of the stage asks for it.
    """

    task: str
    hidden_size: int
    num_layers: int
    num_labels: int
    dropout: float
    options: Mapping[str, Any] = field(default_factory=dict)
    language_model_head: Head | None = None


class Head(nn.Module):
    """What turns the encoder's states into a format's logits.

    Attributes:
        layer: The layer whose states it wants, 0 for the embeddings; ``None`` for the last one.
    """

    layer: int | None = None

    def forward(self, states_RTH: Tensor, mask_RT: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits, in the format's own shape.

        Args:
            states_RTH: States of the encoder.
            mask_RT: 1 at tokens, 0 at padding.
            labels: The format's labels in training; they may decide what is computed. A head that
                is not used in a step is called with ``IGNORE`` alone.
        """
        raise NotImplementedError


class TaskFormat(ABC, Generic[RecordT, OutputT]):
    """One format; its implementations hold no state.

    ``RecordT`` is its class of records, ``OutputT`` what the model's output for one feature is
    reduced to.
    """

    @abstractmethod
    def head(self, settings: HeadSettings) -> Head:
        """Make a head, freshly initialised from torch's random state."""

    @abstractmethod
    def encode(self, records: Sequence[RecordT], encoding: Encoding) -> list[Feature]:
        """Turn records into features; every record gives at least one, unless they are packed."""

    def encode_training(self, records: Sequence[RecordT], encoding: Encoding) -> list[Feature]:
        """Turn a training set into features; those without a label are not trained on."""
        return self.encode(records, encoding)

    def draw(
        self, features: Sequence[Feature], indices: Sequence[int], tokenizer: Tokenizer, seed: int
    ) -> list[Feature]:
        """Return a step's examples, with whatever is random about them drawn.

        Args:
            features: All features of the stream.
            indices: The global batch. What is drawn for an example depends on its place in the
                batch and the seed alone, not on the workers that share the batch.
            tokenizer: The base model's tokenizer.
            seed: The step's.
        """
        return [features[i] for i in indices]

    @abstractmethod
    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Collate the labels of a batch whose rows are padded to ``num_tokens``."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss *summed* over the batch's units (a scalar)."""

    @abstractmethod
    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[OutputT]:
        """Return one output a feature, small enough to gather over workers."""

    @abstractmethod
    def decode(
        self,
        records: Sequence[RecordT],
        features: Sequence[Feature],
        outputs: Sequence[OutputT],
        encoding: Encoding,
    ) -> Mapping[str, Any]:
        """Turn the outputs of all features into predictions by record id."""


class ClassificationHead(Head):
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
        _initialise(self)

    def forward(self, states_RTH: Tensor, mask_RT: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits, `R x C`."""
        state_RH = self.dropout(states_RTH[:, 0])
        return self.out(self.dropout(torch.tanh(self.dense(state_RH))))  # type: ignore[no-any-return]


class TokenHead(Head):
    """Dropout and one linear layer on every token's state."""

    def __init__(self, hidden_size: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden_size, num_labels)
        _initialise(self)

    def forward(self, states_RTH: Tensor, mask_RT: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits, `R x T x C`."""
        return self.out(self.dropout(states_RTH))  # type: ignore[no-any-return]


def _initialise(head: Head) -> None:
    """Give the linear layers the weights that XLM-R's own layers start from."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)


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
