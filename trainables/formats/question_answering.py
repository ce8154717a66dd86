"""Extractive question answering: a span of the context, or none.

Long contexts are read in overlapping windows; the best span over all windows of a question wins.
Position 0 (``<s>``) stands for "no answer in this window", as in Devlin et al., arXiv:1810.04805.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from spaces.errors import InputError
from trainables.formats.base import (
    Encoding,
    Feature,
    Head,
    HeadSettings,
    TaskFormat,
    TokenHead,
)
from trainables.records import Answer, QuestionRecord

MAX_ANSWER_TOKENS = 30
NUM_BEST = 20


class QuestionAnswering(TaskFormat[QuestionRecord, tuple[float, float, int, int]]):
    """Cross-entropy of start and end, each counted half."""

    def head(self, settings: HeadSettings) -> Head:
        """Make a head with a start and an end score a token."""
        return TokenHead(settings.hidden_size, 2, settings.dropout)

    def encode(self, records: Sequence[QuestionRecord], encoding: Encoding) -> list[Feature]:
        """Encode ``<s> question </s></s> context </s>`` in windows.

        ``extra`` is (first context position, character offsets of the context's tokens). Windows
        overlap by the task's ``doc_stride``, at most a third of a window.

        Raises:
            InputError: The task's ``max_length`` has no room for a question and a context.
        """
        if not records:
            return []
        task = encoding.task
        # A question may take at most half of the room, so that some context is always seen.
        room = task.max_length - encoding.tokenizer.num_special_tokens_to_add(pair=True)
        limit = room // 2
        if limit < 1:
            raise InputError(
                f"task {task.name!r}: max_length {task.max_length} leaves no room for a question "
                "and its context. Raise training.max_length."
            )
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
            stride=min(task.doc_stride, task.max_length // 3, room - limit - 1),
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
        """Return start, end and length of each row, `R x 3`."""
        return torch.tensor([(*feature.label, feature.num_tokens) for feature in features])

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean of the start and end cross-entropies, summed over windows.

        Padding is no candidate: a window's loss does not depend on its batch.
        """
        position_T = torch.arange(logits.shape[1], device=logits.device)
        padding_RT1 = (position_T >= labels[:, 2:]).unsqueeze(-1)
        start_RT, end_RT = logits.float().masked_fill(padding_RT1, float("-inf")).unbind(-1)
        return (
            functional.cross_entropy(start_RT, labels[:, 0], reduction="sum")
            + functional.cross_entropy(end_RT, labels[:, 1], reduction="sum")
        ) / 2

    def outputs(
        self, logits: Tensor, features: Sequence[Feature]
    ) -> list[tuple[float, float, int, int]]:
        """Return, for each window, (null score, best score, start, end) with token positions."""
        start_RT, end_RT = logits.float().cpu().unbind(-1)
        null_R = start_RT[:, 0] + end_RT[:, 0]
        first = [feature.extra[0] for feature in features]
        length = [len(feature.extra[1]) for feature in features]
        spans = _best_spans(start_RT, end_RT, torch.tensor(first), torch.tensor(length))
        return [(null, *span) for null, span in zip(null_R.tolist(), spans, strict=True)]

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
                continue  # A window without context.
            text = _text(record.context, offsets[start - first][0], offsets[end - first][1])
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
    begin, finish = _visible_span(record.context, record.answers[0])
    if not offsets or offsets[0][0] > begin or offsets[-1][1] < finish:
        return (0, 0)
    # A subword may include the space before it, and a word may share its token with what follows.
    start = max(i for i, (low, _) in enumerate(offsets) if low <= begin)
    end = min(i for i, (_, high) in enumerate(offsets) if high >= finish)
    return (first + start, first + max(start, end))


def _visible_span(context: str, answer: Answer) -> tuple[int, int]:
    """Return where an answer begins and ends, less what no subword holds at its ends.

    That is spaces and zero-width characters, which XLM-R's tokenizer takes for spaces. With them an
    answer would reach into the next word, or past the end of its window.
    """
    begin, finish = answer.start, answer.start + len(answer.text)
    seen = [i for i in range(begin, finish) if context[i].isprintable() and context[i] != " "]
    return (seen[0], seen[-1] + 1) if seen else (begin, finish)


def _text(context: str, begin: int, finish: int) -> str:
    """Return a stretch of the context and the zero-width characters that its last word ends in."""
    while finish < len(context) and not (
        context[finish].isprintable() or context[finish].isspace()
    ):
        finish += 1
    return context[begin:finish]


def _best_spans(
    start_RT: Tensor, end_RT: Tensor, first_R: Tensor, length_R: Tensor
) -> list[tuple[float, int, int]]:
    """Return (score, start, end) of each row's best span within its context.

    Of the best starts and ends, N each, the best pair that is in order and not too long. Where
    none is, the best single token; end < start where there is no context at all.
    """
    position_T = torch.arange(start_RT.shape[1])
    inside_RT = (position_T >= first_R[:, None]) & (position_T < (first_R + length_R)[:, None])
    start_RT = start_RT.masked_fill(~inside_RT, float("-inf"))
    end_RT = end_RT.masked_fill(~inside_RT, float("-inf"))
    top = min(NUM_BEST, start_RT.shape[1])
    start_RN, start_at_RN = start_RT.topk(top)
    end_RN, end_at_RN = end_RT.topk(top)
    gap_RNN = end_at_RN[:, None, :] - start_at_RN[:, :, None]
    pair_RNN = (start_RN[:, :, None] + end_RN[:, None, :]).masked_fill(
        (gap_RNN < 0) | (gap_RNN >= MAX_ANSWER_TOKENS), float("-inf")
    )
    score_R, best_R = pair_RNN.flatten(1).max(1)
    single_score_R, single_R = (start_RT + end_RT).max(1)
    spans = []
    for i, score in enumerate(score_R.tolist()):
        best, single = int(best_R[i]), int(single_R[i])
        if score > float("-inf"):
            spans.append((score, int(start_at_RN[i, best // top]), int(end_at_RN[i, best % top])))
        elif length_R[i] > 0:
            spans.append((float(single_score_R[i]), single, single))
        else:
            spans.append((score, 1, 0))
    return spans
