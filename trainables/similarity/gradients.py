"""What a task asks of the shared encoder: mean gradient and empirical Fisher, in the same passes.

The encoder is the base model's and stays as it is; the head was fitted on its frozen features.
Embeddings are left out: their gradients say which subwords occur, which ``subword_overlap`` says
for less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.similarity.bench import Bench
from trainables.similarity.heads import FittedTask, fit_head
from trainables.similarity.sketch import sketch
from trainables.similarity.subjects import Subject

NO_LABELS = "{} has no labelled training examples of its own"


@dataclass(frozen=True)
class GradientStatistics:
    """Gradients of a subject's loss, over its examples.

    Attributes:
        mean: Mean gradient of each of the encoder's weights, sketched, by the weight's name.
        fisher: Mean squared gradient of each weight matrix, averaged over the inputs of each
            output unit, by the matrix' name; as long as the matrix has outputs.
    """

    mean: Mapping[str, Tensor]
    fisher: Mapping[str, Tensor]


def gradient_statistics(bench: Bench, subject: Subject) -> GradientStatistics | None:
    """Return a subject's gradients: one backward pass an example, each example counting alike.

    Of a mixture, each task has a head of its own and weighs its share.

    Returns:
        ``None`` where a part of the subject has no labels (``NO_LABELS`` says so).
    """
    parts = []
    for portion in bench.portions(subject):
        fitted = fit_head(bench, portion)
        if fitted is None:
            return None
        pad_id = bench.tokenizer.pad_token_id
        parts.append((portion.share, example_gradients(fitted, pad_id, bench.device)))
    return GradientStatistics(
        _weighted([(share, part.mean) for share, part in parts]),
        _weighted([(share, part.fisher) for share, part in parts]),
    )


def shared_weights(encoder: nn.Module) -> dict[str, nn.Parameter]:
    """Return the encoder's weights that are compared, by name: all but the embeddings."""
    return {
        name: parameter for name, parameter in encoder.named_parameters() if "embedding" not in name
    }


def example_gradients(fitted: FittedTask, pad_id: int, device: torch.device) -> GradientStatistics:
    """Return the gradients of one task's loss, example by example.

    Args:
        fitted: The task, its head and its examples.
        pad_id: The tokenizer's padding.
        device: Where encoder and head are.
    """
    weights = shared_weights(fitted.encoder)
    names, parameters = list(weights), list(weights.values())
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    squares = {
        name: torch.zeros(len(parameter), dtype=torch.float64, device=device)
        for name, parameter in weights.items()
        if parameter.ndim > 1
    }
    for parameter in parameters:
        parameter.requires_grad_(True)
    for feature in fitted.features:
        loss = fitted.loss(feature, pad_id, device)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for name, total, gradient in zip(names, sums, gradients, strict=True):
            if gradient is None:  # A layer above the one that the head reads.
                continue
            total.add_(gradient)
            if name in squares:
                squares[name] += gradient.double().square().flatten(1).mean(1)
    for parameter in parameters:
        parameter.requires_grad_(False)
    count = len(fitted.features)
    return GradientStatistics(
        {name: sketch(total / count, name) for name, total in zip(names, sums, strict=True)},
        {name: (total / count).cpu() for name, total in squares.items()},
    )


def _weighted(parts: list[tuple[float, Mapping[str, Tensor]]]) -> dict[str, Tensor]:
    return {
        name: sum((w * part[name] for w, part in parts), torch.zeros(())) for name in parts[0][1]
    }
