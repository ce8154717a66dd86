"""Examples through an encoder: batches of features, and the encoder's states of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.batches import collate, derived_seed
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.similarity.bench import Bench
from trainables.similarity.samples import Portion

#: Rows in one forward pass.
BATCH_ROWS = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """Some features, and the encoder's states of their rows.

    Attributes:
        features: The features.
        states: States of the layer that was asked for, `R x T x H`.
        mask: 1 at tokens, 0 at padding, `R x T`.
        labels: The format's labels; ``None`` where they were not asked for.
    """

    features: tuple[Feature, ...]
    states: Tensor
    mask: Tensor
    labels: Tensor | None

    @property
    def num_rows(self) -> list[int]:
        """How many rows each feature has, one after the other."""
        return [len(feature.rows) for feature in self.features]


def portion_features(bench: Bench, portion: Portion, *, labelled: bool) -> list[Feature]:
    """Return the features of a portion, at most as many as it has records.

    A long record gives several windows; which of all the windows are kept is drawn by the seed.

    Args:
        bench: The study's.
        portion: The examples.
        labelled: Leave out what has no label.
    """
    form = FORMATS[bench.catalogue[portion.task].format]
    records = list(portion.records)
    encoding = bench.inputs.encoding(portion.task, portion.languages)
    if labelled:
        found = form.encode_training(records, encoding)
        features = [feature for feature in found if feature.label is not None]
    else:
        features = form.encode(records, encoding)
    if len(features) > len(records):
        generator = torch.Generator().manual_seed(
            derived_seed("windows", bench.settings.seed, portion.task)
        )
        kept = torch.randperm(len(features), generator=generator)[: len(records)]
        features = [features[i] for i in sorted(kept.tolist())]
    return features


def encode_features(
    bench: Bench,
    encoder: nn.Module,
    features: Sequence[Feature],
    form: str,
    *,
    labelled: bool,
    layer: int | None = None,
) -> Iterator[Batch]:
    """Yield the encoder's states of features, by length, without gradients.

    Args:
        bench: The study's.
        encoder: On the bench's device, in evaluation mode.
        features: The features.
        form: Their format.
        labelled: Whether the batches carry labels.
        layer: Which layer's states; ``None`` for the last one's.
    """
    for chosen in _batches(features):
        batch = collate(chosen, form, bench.tokenizer.pad_token_id, bench.device, labelled=labelled)
        with torch.no_grad():
            states = encode_rows(encoder, batch, layer)
        yield Batch(tuple(chosen), states, batch["attention_mask"], batch.get("labels"))


def encode_rows(encoder: nn.Module, batch: dict[str, Any], layer: int | None) -> Tensor:
    """Return the states of a collated batch's rows, `R x T x H`."""
    output = encoder(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        output_hidden_states=layer is not None,
    )
    states: Tensor = output.last_hidden_state if layer is None else output.hidden_states[layer]
    return states


def _batches(features: Sequence[Feature]) -> Iterator[list[Feature]]:
    """Group features of like length, ``BATCH_ROWS`` rows together; one feature is never split."""
    ordered = sorted(features, key=lambda feature: max(len(row) for row in feature.rows))
    group: list[Feature] = []
    rows = 0
    for feature in ordered:
        if group and rows + len(feature.rows) > BATCH_ROWS:
            yield group
            group, rows = [], 0
        group.append(feature)
        rows += len(feature.rows)
    if group:
        yield group
