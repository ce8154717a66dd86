"""A task's fresh head, fitted for a moment on the frozen base encoder.

Gradients at a head's random start say little about the task: they go through random directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.batches import collate, derived_seed
from trainables.formats import FORMATS
from trainables.formats.base import Feature, Head
from trainables.models import build_model
from trainables.similarity.bench import Bench
from trainables.similarity.samples import Portion
from trainables.similarity.states import encode_features, encode_rows, portion_features

LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class FittedTask:
    """A task on the base encoder.

    Attributes:
        encoder: The base encoder, frozen.
        head: Its fitted head, frozen.
        form: The task's format.
        features: Its labelled examples.
        first_loss, last_loss: Mean loss of an example before the first pass and over the last one.
    """

    encoder: nn.Module
    head: Head
    form: str
    features: tuple[Feature, ...]
    first_loss: float
    last_loss: float

    def loss(self, feature: Feature, pad_id: int, device: torch.device) -> Tensor:
        """Return the mean loss over one example's units, with a graph through the encoder."""
        batch: dict[str, Any] = collate([feature], self.form, pad_id, device, labelled=True)
        states = encode_rows(self.encoder, batch, self.head.layer)
        logits = self.head(states, batch["attention_mask"], batch["labels"])
        return FORMATS[self.form].loss(logits, batch["labels"]) / max(1, feature.num_units)


def fit_head(bench: Bench, portion: Portion) -> FittedTask | None:
    """Fit a fresh head on the states of a portion's examples; AdamW at a constant rate.

    One forward pass an example; the states are kept, and the head alone is trained on them. The
    language-model head is the base model's own and stays as it is. Each example counts alike,
    however many units (words, hidden subwords) it has.

    Returns:
        ``None`` where there is nothing to fit: retrieval, whose head has no labels of its own, and
        sets without labels.
    """
    form = bench.catalogue[portion.task].format
    if form == "retrieval" or not portion.trained:
        return None
    features = portion_features(bench, portion, labelled=True)
    if not features:
        return None
    settings = bench.settings
    labels = bench.inputs.labels(portion.task, portion.languages)
    model = build_model(
        bench.preparation.model_path,
        {portion.task: (form, len(labels))},
        dropout=0.0,
        # One start for all tasks: equal tasks have equal gradients, whatever they are called.
        seed=derived_seed("similarity head", settings.seed),
        revision=bench.study.model.revision,
        options={portion.task: bench.catalogue[portion.task].options},
    )
    model = model.to(bench.device).eval().requires_grad_(False)
    (head,) = model.heads.values()
    assert isinstance(head, Head)
    is_fitted = form == "masked_lm"
    if is_fitted:
        seed = derived_seed("similarity masks", settings.seed)
        features = FORMATS[form].draw(features, range(len(features)), bench.tokenizer, seed)
    first, last = 0.0, 0.0
    if not is_fitted:
        first, last = _fit(bench, model.encoder, head, features, form)
    return FittedTask(model.encoder, head, form, tuple(features), first, last)


def _fit(
    bench: Bench, encoder: nn.Module, head: Head, features: list[Feature], form: str
) -> tuple[float, float]:
    """Train a head in place; return the mean loss before, and over the last pass."""
    batches = list(encode_features(bench, encoder, features, form, labelled=True, layer=head.layer))

    def losses(epoch: int) -> float:
        total = 0.0
        generator = torch.Generator().manual_seed(derived_seed("order", bench.settings.seed, epoch))
        for i in torch.randperm(len(batches), generator=generator).tolist():
            batch = batches[i]
            logits = head(batch.states, batch.mask, batch.labels)
            units = max(1, sum(feature.num_units for feature in batch.features))
            loss = FORMATS[form].loss(logits, batch.labels) / units
            if epoch:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += float(loss.detach()) * len(batch.features)
        return total / len(features)

    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    with torch.no_grad():
        first = last = losses(0)
    for epoch in range(1, bench.settings.head_epochs + 1):
        last = losses(epoch)
    head.requires_grad_(False)
    return first, last
