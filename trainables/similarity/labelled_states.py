"""The target's labels and a source-tuned encoder's states of them: what LogME and H-score rate.

What is a sample and what its label depends on the format:

- sequence classification: an example's first token, which the head reads; its class;
- token classification: each labelled word's first subword; its tag;
- multiple choice: each choice's first token; whether it is the right one;
- question answering: context tokens of the windows that hold an answer; whether they are inside it.
  All tokens of the answer, and as many outside of it, drawn by the seed.

Retrieval and masked language modelling have no labels that a linear head could tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.batches import derived_seed
from trainables.formats.base import IGNORE
from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.samples import Portion
from trainables.similarity.states import Batch, encode_features, portion_features
from trainables.similarity.subjects import Subject

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
#: Rates how well labels can be told from states, `N x H` and `N`; higher is better.
Rating = Callable[[Floats, Labels], float]


@dataclass(frozen=True)
class LabelledStates:
    """Samples of one task.

    Attributes:
        share: The task's part of the subject.
        states: `N x H`.
        labels: Class of each sample, `N`.
    """

    share: float
    states: Floats
    labels: Labels


def rate_states(bench: Bench, source: Subject, target: Subject, rating: Rating) -> Outcome:
    """Rate how well the target's labels can be told from the source-tuned encoder's states.

    Of a mixture each task is rated alone and weighs its share.
    """
    samples = bench.once_of_tuned(
        "labelled states", source, target, lambda encoder: labelled_states(bench, encoder, target)
    )
    if samples is None:
        return bench.missing_stage(source)
    if not samples:
        return Outcome.missing(f"{target.name} has no labels that a linear head could tell")
    value = sum(part.share * rating(part.states, part.labels) for part in samples)
    return Outcome(value, bench.num_examples(target))


def labelled_states(bench: Bench, encoder: nn.Module, subject: Subject) -> list[LabelledStates]:
    """Return the samples of each of a subject's tasks; none at all if one of them has none."""
    found = []
    for portion in bench.portions(subject):
        part = _of_portion(bench, encoder, portion)
        if part is None:
            return []
        found.append(part)
    return found


def _of_portion(bench: Bench, encoder: nn.Module, portion: Portion) -> LabelledStates | None:
    form = bench.catalogue[portion.task].format
    if form not in _SAMPLING or not portion.trained:
        return None
    features = portion_features(bench, portion, labelled=True)
    generator = torch.Generator().manual_seed(derived_seed("samples", bench.settings.seed))
    states, labels = [], []
    for batch in encode_features(bench, encoder, features, form, labelled=True):
        at, classes = _SAMPLING[form](batch, generator)
        states.append(batch.states[at[:, 0], at[:, 1]].double().cpu())
        labels.append(classes.cpu())
    states_NH, labels_N = torch.cat(states), torch.cat(labels)
    if len(labels_N) > bench.settings.max_tokens:
        kept = torch.randperm(len(labels_N), generator=generator)[: bench.settings.max_tokens]
        states_NH, labels_N = states_NH[kept], labels_N[kept]
    found = LabelledStates(portion.share, states_NH.numpy(), labels_N.numpy())
    return found if len(np.unique(found.labels)) > 1 else None


def _examples(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    assert batch.labels is not None
    rows = torch.arange(len(batch.labels), device=batch.states.device)
    return torch.stack([rows, torch.zeros_like(rows)], dim=1), batch.labels


def _words(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    assert batch.labels is not None
    at = (batch.labels != IGNORE).nonzero()
    return at, batch.labels[at[:, 0], at[:, 1]]


def _choices(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    is_right = [int(i == f.label) for f in batch.features for i in range(len(f.rows))]
    rows = torch.arange(len(is_right))
    return torch.stack([rows, torch.zeros_like(rows)], dim=1), torch.tensor(is_right)


def _answers(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    at: list[list[int]] = []
    labels: list[int] = []
    for row, feature in enumerate(batch.features):
        start, end = feature.label
        if start == 0:  # No answer in this window.
            continue
        first, offsets = feature.extra
        inside = range(start, end + 1)
        others = [i for i in range(first, first + len(offsets)) if i not in inside]
        drawn = torch.randperm(len(others), generator=generator)[: len(inside)].tolist()
        at += [[row, i] for i in (*inside, *(others[j] for j in drawn))]
        labels += [1] * len(inside) + [0] * len(drawn)
    return torch.tensor(at, dtype=torch.long).reshape(-1, 2), torch.tensor(labels, dtype=torch.long)


#: Format to (positions of its samples in the batch, `N x 2` of row and token; their labels, `N`).
_SAMPLING: dict[str, Callable[[Batch, torch.Generator], tuple[Any, Any]]] = {
    "sequence_classification": _examples,
    "token_classification": _words,
    "multiple_choice": _choices,
    "question_answering": _answers,
}
