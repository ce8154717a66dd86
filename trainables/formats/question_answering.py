"""Extractive question answering: a span of the context, or none.

Long contexts are read in overlapping windows; the best span over all windows of a question wins.
Position 0 (``<s>``) stands for "no answer in this window", as in Devlin et al., arXiv:1810.04805.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.formats.base import Encoding, Feature, TokenHead
from trainables.records import QuestionRecord

MAX_ANSWER_TOKENS = 30
NUM_BEST = 20


class QuestionAnswering:
    """Cross-entropy of start and end, each counted half."""

    def head(self, hidden_size: int, num_labels: int, dropout: float) -> nn.Module:
        """Make a head with a start and an end score a token."""
        return TokenHead(hidden_size, 2, dropout)

    def encode(self, records: Sequence[QuestionRecord], encoding: Encoding) -> list[Feature]:
        """Encode ``<s> question </s></s> context </s>`` in windows.

        ``extra`` is (first context position, character offsets of the context's tokens).
        """
        if not records:
            return []
        task = encoding.task
        # A question may take at most half of the window, so that some context is always seen.
        limit = task.max_length // 2
        cut = encoding.tokenizer(
            [record.question.strip() for record in records],
            add_special_tokens=False,
            truncation=True,
            max_length=limit,
            return_offsets_mapping=True,
        )["offset_mapping"]
        questions = [
            record.question.strip()[: offsets[-1][1] if offsets else 0]
            for record, offsets in zip(records, cut, strict=True)
        ]
        encoded = encoding.tokenizer(
            questions,
            [record.context for record in records],
            truncation="only_second",
            max_length=task.max_length,
            stride=min(task.doc_stride, task.max_length // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        features = []
        for window, row in enumerate(encoded["input_ids"]):
            source = int(encoded["overflow_to_sample_mapping"][window])
            sides = encoded.sequence_ids(window)
            positions = [i for i, side in enumerate(sides) if side == 1]
            first = positions[0] if positions else len(row)
            offsets = tuple(
                (int(start), int(end))
                for start, end in (encoded["offset_mapping"][window][i] for i in positions)
            )
            label = _span_label(records[source], first, offsets)
            features.append(Feature((tuple(row),), source, label, 1, (first, offsets)))
        return features

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Return start and end positions, `R x 2`."""
        return torch.tensor([feature.label for feature in features])

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean of the start and end cross-entropies, summed over windows."""
        start_RT, end_RT = logits.float().unbind(-1)
        return (
            functional.cross_entropy(start_RT, labels[:, 0], reduction="sum")
            + functional.cross_entropy(end_RT, labels[:, 1], reduction="sum")
        ) / 2

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[Any]:
        """Return, for each window, (null score, best score, start, end) with token positions."""
        result = []
        for row_T2, feature in zip(logits.float(), features, strict=True):
            first, offsets = feature.extra
            start_T, end_T = row_T2.unbind(-1)
            null = float(start_T[0] + end_T[0])
            result.append((null, *_best_span(start_T, end_T, first, len(offsets))))
        return result

    def decode(
        self,
        records: Sequence[QuestionRecord],
        features: Sequence[Feature],
        outputs: Sequence[tuple[float, float, int, int]],
        encoding: Encoding,
    ) -> Mapping[str, str]:
        """Return the answer's text by record id.

        The empty string (no answer) is given only by a task whose option ``no_answer`` is true.
        """
        may_abstain = bool(encoding.task.options.get("no_answer", False))
        best: dict[int, tuple[float, str]] = {}
        null: dict[int, float] = {}
        for feature, (null_score, score, start, end) in zip(features, outputs, strict=True):
            record = records[feature.record]
            first, offsets = feature.extra
            null[feature.record] = min(null.get(feature.record, float("inf")), null_score)
            if end < start:
                continue
            text = record.context[offsets[start - first][0] : offsets[end - first][1]]
            if score > best.get(feature.record, (float("-inf"), ""))[0]:
                best[feature.record] = (score, text)
        answers = {}
        for i, record in enumerate(records):
            score, text = best.get(i, (float("-inf"), ""))
            abstains = may_abstain and null.get(i, float("-inf")) > score
            answers[record.id] = "" if abstains else text.strip()
        return answers


def _span_label(
    record: QuestionRecord, first: int, offsets: tuple[tuple[int, int], ...]
) -> tuple[int, int] | None:
    """Return token positions of the first answer, ``(0, 0)`` if it is not in this window."""
    if record.answers is None:
        return None
    if not record.answers:
        return (0, 0)
    begin = record.answers[0].start
    finish = begin + len(record.answers[0].text)
    if not offsets or offsets[0][0] > begin or offsets[-1][1] < finish:
        return (0, 0)
    # A subword may include the space before it, and a word may share its token with what follows.
    start = max(i for i, (low, _) in enumerate(offsets) if low <= begin)
    end = min(i for i, (_, high) in enumerate(offsets) if high >= finish)
    return (first + start, first + max(start, end))


def _best_span(start_T: Tensor, end_T: Tensor, first: int, length: int) -> tuple[float, int, int]:
    """Return (score, start, end) of the best span within the context; end < start if none."""
    if length == 0:
        return float("-inf"), 1, 0
    starts, ends = start_T[first : first + length], end_T[first : first + length]
    top = min(NUM_BEST, length)
    start_scores, start_at = starts.topk(top)
    end_scores, end_at = ends.topk(top)
    scores = start_scores[:, None] + end_scores[None, :]
    gap = end_at[None, :] - start_at[:, None]
    scores = scores.masked_fill((gap < 0) | (gap >= MAX_ANSWER_TOKENS), float("-inf"))
    best = int(scores.argmax())
    score = float(scores.flatten()[best])
    if score == float("-inf"):
        # No pair of the top starts and ends fits: take the single best token.
        token = int((starts + ends).argmax())
        return float(starts[token] + ends[token]), first + token, first + token
    return score, first + int(start_at[best // top]), first + int(end_at[best % top])
