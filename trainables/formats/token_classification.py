"""Token classification: one tag a word, read off the word's first subword."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional

from trainables.formats.base import (
    IGNORE,
    Encoding,
    Feature,
    Head,
    HeadSettings,
    TaskFormat,
    TokenHead,
    label_ids,
    pad_rows,
)
from trainables.records import TaggingRecord


class TokenClassification(TaskFormat[TaggingRecord, list[int]]):
    """Cross-entropy over first subwords; a long sentence gives several windows, no word is lost.

    A tag outside the label set (another language's, say) is no part of the loss and can never be
    predicted; the metric counts it as wrong.
    """

    def head(self, settings: HeadSettings) -> Head:
        """Make a linear head on every token."""
        return TokenHead(settings.hidden_size, settings.num_labels, settings.dropout)

    def encode(self, records: Sequence[TaggingRecord], encoding: Encoding) -> list[Feature]:
        """Encode sentences word by word; ``extra`` is (word, position) of each first subword."""
        if not records:
            return []
        encoded = encoding.tokenizer(
            [list(record.tokens) for record in records],
            is_split_into_words=True,
            truncation=True,
            max_length=encoding.task.max_length,
            return_overflowing_tokens=True,
        )
        index = label_ids(encoding)
        features = []
        seen: set[tuple[int, int]] = set()
        for window, row in enumerate(encoded["input_ids"]):
            source = int(encoded["overflow_to_sample_mapping"][window])
            firsts = []
            for position, word in enumerate(encoded.word_ids(window)):
                # A word split over two windows belongs to the one that holds its first subword.
                if word is not None and (source, word) not in seen:
                    seen.add((source, word))
                    firsts.append((word, position))
            tags = records[source].tags
            label, num_units = None, 0
            if tags is not None:
                marks = [IGNORE] * len(row)
                for word, position in firsts:
                    marks[position] = index.get(tags[word], IGNORE)
                label, num_units = tuple(marks), len(row) - marks.count(IGNORE)
            features.append(Feature((tuple(row),), source, label, num_units, tuple(firsts)))
        return features

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Return tag indices, `R x T`, ``IGNORE`` off the first subwords."""
        return pad_rows([feature.label for feature in features], num_tokens, IGNORE)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over words."""
        return functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), reduction="sum", ignore_index=IGNORE
        )

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[list[int]]:
        """Return, for each feature, the tag indices of its words."""
        best_RT = logits.argmax(-1).tolist()
        return [
            [row[position] for _, position in feature.extra]
            for row, feature in zip(best_RT, features, strict=True)
        ]

    def decode(
        self,
        records: Sequence[TaggingRecord],
        features: Sequence[Feature],
        outputs: Sequence[list[int]],
        encoding: Encoding,
    ) -> Mapping[str, list[str]]:
        """Return the tags by record id; a word without any subword gets the outside tag."""
        outside = "O" if "O" in encoding.labels else encoding.labels[0]
        tags = [[outside] * len(record.tokens) for record in records]
        for feature, output in zip(features, outputs, strict=True):
            for (word, _), tag in zip(feature.extra, output, strict=True):
                tags[feature.record][word] = encoding.labels[tag]
        return {record.id: tags[i] for i, record in enumerate(records)}
