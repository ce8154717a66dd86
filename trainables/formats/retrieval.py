"""Sentence retrieval: nearest neighbour by cosine of mean-pooled states; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainables.formats.base import Encoding, Feature, Head, HeadSettings, TaskFormat
from trainables.records import RetrievalRecord

BLOCK = 4096
NUM_BEST = 20


class MeanPooling(Head):
    """The mean of a row's states."""

    def forward(self, states_RTH: Tensor, mask_RT: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the mean states, `R x H`."""
        weights = mask_RT.unsqueeze(-1).to(states_RTH.dtype)
        return (states_RTH * weights).sum(1) / weights.sum(1)


class Retrieval(TaskFormat[RetrievalRecord, Tensor]):
    """Queries rank candidates."""

    def head(self, settings: HeadSettings) -> Head:
        """Return mean pooling."""
        return MeanPooling()

    def encode(self, records: Sequence[RetrievalRecord], encoding: Encoding) -> list[Feature]:
        """Encode each sentence alone."""
        if not records:
            return []
        rows = encoding.tokenizer(
            [record.text for record in records],
            truncation=True,
            max_length=encoding.task.max_length,
        )["input_ids"]
        return [Feature((tuple(row),), i, None) for i, row in enumerate(rows)]

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Refuse: retrieval has no training."""
        raise NotImplementedError("a retrieval task has no training set")

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Refuse: retrieval has no training."""
        raise NotImplementedError("a retrieval task has no training set")

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[Tensor]:
        """Return each sentence's vector, `H`, as 32-bit floats on the CPU."""
        return list(logits.float().cpu())

    def decode(
        self,
        records: Sequence[RetrievalRecord],
        features: Sequence[Feature],
        outputs: Sequence[Tensor],
        encoding: Encoding,
    ) -> Mapping[str, list[str]]:
        """Return the best candidates' ids, best first, by query id; exact search in blocks."""
        queries = [i for i, f in enumerate(features) if records[f.record].is_query]
        candidates = [i for i, f in enumerate(features) if not records[f.record].is_query]
        if not queries or not candidates:
            return {}
        vectors = nn.functional.normalize(torch.stack(list(outputs)), dim=-1)
        candidate_ids = [records[features[i].record].id for i in candidates]
        pool = vectors[candidates].T
        ranked: dict[str, list[str]] = {}
        for start in range(0, len(queries), BLOCK):
            block = queries[start : start + BLOCK]
            nearest = (vectors[block] @ pool).topk(min(NUM_BEST, len(candidates)), dim=-1).indices
            for i, row in zip(block, nearest.tolist(), strict=True):
                ranked[records[features[i].record].id] = [candidate_ids[j] for j in row]
        return ranked
