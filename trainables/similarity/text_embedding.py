"""TextEmb: a task is the mean of the base encoder's states over its texts.

The states of the last layer are averaged over the tokens of an example, and then over examples.

Source: Vu et al. 2020, arXiv:2005.00770, section 4.1. Deviation: a few hundred examples, not all.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.states import encode_features, portion_features
from trainables.similarity.subjects import Subject


def text_embedding(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the cosine of two subjects' embeddings."""
    first = bench.once("text embedding", source, lambda subject: embed_texts(bench, subject))
    second = bench.once("text embedding", target, lambda subject: embed_texts(bench, subject))
    value = functional.cosine_similarity(first, second, dim=0)
    return Outcome(float(value), bench.num_examples(source, target))


def embed_texts(bench: Bench, subject: Subject) -> Tensor:
    """Return a subject's embedding, `H`, in 64-bit floats on the CPU."""
    parts = []
    for portion in bench.portions(subject):
        form = bench.catalogue[portion.task].format
        features = portion_features(bench, portion, labelled=False)
        means = [
            mean_states(batch.states, batch.mask, batch.num_rows)
            for batch in encode_features(
                bench, bench.base_encoder(), features, form, labelled=False
            )
        ]
        parts.append(portion.share * torch.cat(means).mean(0))
    return torch.stack(parts).sum(0)


def mean_states(states_RTH: Tensor, mask_RT: Tensor, num_rows: list[int]) -> Tensor:
    """Return the mean state over the tokens of each example, `E x H`.

    Args:
        states_RTH: States of a batch.
        mask_RT: 1 at tokens, 0 at padding.
        num_rows: How many rows each example has, one after the other.
    """
    weights_RT1 = mask_RT.unsqueeze(-1).double()
    sums_RH = (states_RTH.double() * weights_RT1).sum(1)
    counts_R1 = weights_RT1.sum(1)
    means = [
        sums.sum(0) / counts.sum()
        for sums, counts in zip(
            torch.split(sums_RH, num_rows), torch.split(counts_R1, num_rows), strict=True
        )
    ]
    return torch.stack(means).cpu()
