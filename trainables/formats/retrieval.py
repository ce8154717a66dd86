"""Retrieval: one encoder for queries and candidates, which are ranked by the cosine of vectors.

Trained as XTREME-R trains LAReQA and Mewsli-X (Ruder et al. 2021, arXiv:2104.07412, and its
``BertForRetrieval``): a query's vector, of length 1, is to be nearer to its own candidate's than
to those of the other queries in the batch, by a softmax over cosines times a trained scale that
starts at 100. Without training, the states of a layer are used as they are (Hu et al. 2020,
arXiv:2003.11080).

Deviations from XTREME-R: the first token's state is used as it is, where its code adds BERT's
pooler, a layer that XLM-R was never trained with; and the mean of all tokens is the default.
Queries and candidates are cut to one ``max_length``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spaces.errors import InputError
from trainables.formats.base import Encoding, Feature, Head, HeadSettings, TaskFormat
from trainables.formats.nearest import nearest
from trainables.records import RetrievalRecord

_log = logging.getLogger(__name__)
NUM_BEST = 20
POOLINGS = ("mean", "first")
SCALE = 100.0


class BiEncoderHead(Head):
    """Pools a row's states into a vector; in training, compares queries with candidates.

    Args:
        pooling: ``mean`` of a row's states, or the ``first`` token's.
        layer: The layer whose states are pooled; ``None`` for the last one.
    """

    def __init__(self, pooling: str, layer: int | None) -> None:
        super().__init__()
        self.pooling = pooling
        self.layer = layer
        self.scale = nn.Parameter(torch.tensor([SCALE]))

    def forward(self, states_RTH: Tensor, mask_RT: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the rows' vectors, `R x H`; with labels, scaled cosines of pairs, `E x E`.

        With labels the rows are a query and its candidate in turn.
        """
        if self.pooling == "first":
            vectors_RH = states_RTH[:, 0]
        else:
            weights = mask_RT.unsqueeze(-1).to(states_RTH.dtype)
            vectors_RH = (states_RTH * weights).sum(1) / weights.sum(1)
        if labels is None:
            return vectors_RH
        unit_RH = functional.normalize(vectors_RH.float(), dim=1)
        return unit_RH[0::2] @ unit_RH[1::2].T * self.scale


class Retrieval(TaskFormat[RetrievalRecord, Tensor]):
    """Queries rank candidates; softmax over the candidates of the micro-batch in training.

    So the loss is the one that depends on the size of the micro-batch and on the number of
    workers: a query's negatives are the other queries' candidates in the same forward pass.
    """

    def head(self, settings: HeadSettings) -> Head:
        """Make pooling and a scale.

        Raises:
            InputError: The options ``pooling``, ``layer`` or ``layer_of`` make no sense.
        """
        return BiEncoderHead(
            _pooling(settings.options, settings.task),
            pooled_layer(settings.options, settings.num_layers, settings.task),
        )

    def encode(self, records: Sequence[RetrievalRecord], encoding: Encoding) -> list[Feature]:
        """Encode each query and each candidate alone.

        Raises:
            InputError: The option ``pooling`` is unknown.
        """
        _pooling(encoding.task.options, encoding.task.name)
        rows = _rows([record.text for record in records], encoding)
        return [Feature((row,), i, None) for i, row in enumerate(rows)]

    def encode_training(
        self, records: Sequence[RetrievalRecord], encoding: Encoding
    ) -> list[Feature]:
        """Encode each query with the first of its right candidates, as two rows of one feature.

        The candidates must be among the records. A query without one has no label, so it is not
        trained on; their number is logged.

        Raises:
            InputError: The option ``pooling`` is unknown.
        """
        encoded = self.encode(records, encoding)
        rows = {
            record.id: feature.rows[0]
            for record, feature in zip(records, encoded, strict=True)
            if not record.is_query
        }
        features = []
        for i, record in enumerate(records):
            if record.is_query:
                right = rows.get(record.gold[0]) if record.gold else None
                query = encoded[i].rows[0]
                features.append(
                    Feature((query,), i, None) if right is None else Feature((query, right), i, 0)
                )
        alone = sum(feature.label is None for feature in features)
        if alone:
            _log.warning(
                "task %s: %d of %d queries are left out of training, as their right candidate is "
                "not among the records read",
                encoding.task.name,
                alone,
                len(features),
            )
        return features

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Return the column of each query's own candidate, `E`."""
        return torch.arange(len(features))

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each query's own candidate, summed over queries."""
        return functional.cross_entropy(logits.float(), labels, reduction="sum")

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[Tensor]:
        """Return each row's vector, `H`, as 32-bit floats on the CPU."""
        # Copies: a view would take the whole batch along when it is sent to another worker.
        return [vector.clone() for vector in logits.float().cpu()]

    def decode(
        self,
        records: Sequence[RetrievalRecord],
        features: Sequence[Feature],
        outputs: Sequence[Tensor],
        encoding: Encoding,
    ) -> Mapping[str, list[tuple[str, float]]]:
        """Return the ids and cosines of the 20 best candidates, best first, by query id."""
        queries = [i for i, f in enumerate(features) if records[f.record].is_query]
        candidates = [i for i, f in enumerate(features) if not records[f.record].is_query]
        if not queries or not candidates:
            return {}
        cosines_QK, positions_QK = nearest(
            [outputs[i] for i in queries], [outputs[i] for i in candidates], NUM_BEST
        )
        ids = [records[features[i].record].id for i in candidates]
        return {
            records[features[query].record].id: [
                (ids[position], cosine) for position, cosine in zip(places, scores, strict=True)
            ]
            for query, places, scores in zip(
                queries, positions_QK.tolist(), cosines_QK.tolist(), strict=True
            )
        }


def pooled_layer(options: Mapping[str, Any], num_layers: int, task: str) -> int | None:
    """Return the layer whose states a task pools; ``None`` for the last one.

    With the option ``layer_of`` the layer is given for an encoder of that depth and scaled to this
    one's: layer 13 of 24 (XLM-R Large) is layer 7 of 12 (base), as published.

    Args:
        options: The task's options.
        num_layers: Layers of the encoder.
        task: Name of the task, for messages.

    Raises:
        InputError: There is no such layer.
    """
    layer = options.get("layer")
    if layer is None:
        return None
    if "layer_of" in options:
        layer = math.ceil(layer * num_layers / options["layer_of"])
    if not 0 <= layer <= num_layers:
        raise InputError(
            f"task {task!r}: options.layer is {layer}, the model has {num_layers} layers. "
            "Choose a layer from 0 (the embeddings) on."
        )
    return int(layer)


def _pooling(options: Mapping[str, Any], task: str) -> str:
    pooling = options.get("pooling", POOLINGS[0])
    if pooling not in POOLINGS:
        raise InputError(
            f"task {task!r}: options.pooling is {pooling!r}. Choose {' or '.join(POOLINGS)}."
        )
    return str(pooling)


def _rows(texts: Sequence[str], encoding: Encoding) -> list[tuple[int, ...]]:
    if not texts:
        return []
    rows = encoding.tokenizer(list(texts), truncation=True, max_length=encoding.task.max_length)[
        "input_ids"
    ]
    return [tuple(row) for row in rows]
