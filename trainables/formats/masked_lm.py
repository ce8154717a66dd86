"""Masked language modelling: subwords of raw text are hidden and predicted from the rest.

The masks are drawn anew at every step (Liu et al. 2019, arXiv:1907.11692, section 4.1), and the
language model's head is the base model's own, its decoder tied to the word embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import BaseModelOutput

from spaces.errors import InputError
from trainables.formats.base import (
    IGNORE,
    Encoding,
    Feature,
    Head,
    HeadSettings,
    TaskFormat,
    Tokenizer,
    pad_rows,
)
from trainables.records import TextRecord

#: Share of the subwords to predict, and how they are hidden (Devlin et al., arXiv:1810.04805).
MASKED_SHARE = 0.15
REPLACED_BY_MASK, LEFT_ALONE = 0.8, 0.1


class MaskedLM(TaskFormat[TextRecord, Any]):
    """Cross-entropy over the hidden subwords; nothing is evaluated.

    A text is a row; a long one is cut into several. With the task's option ``pack`` short texts
    that follow each other share a row, as many as fit whole (the "full sentences" of RoBERTa). It
    is off unless asked for: a row is then an example, and sizes, limits and epochs count what is
    in the file. No separator stands between packed texts, since RoBERTa's marks the end of a
    document, which lines and verses do not tell.
    """

    def head(self, settings: HeadSettings) -> Head:
        """Return the base model's own language-model head.

        Raises:
            InputError: The model was built without it.
        """
        if settings.language_model_head is None:
            raise InputError(f"task {settings.task!r}: the model has no language-model head.")
        return settings.language_model_head

    def encode(self, records: Sequence[TextRecord], encoding: Encoding) -> list[Feature]:
        """Encode texts as ``<s> text </s>``; no subword is lost.

        A feature's label is the number of subwords that may be hidden, ``None`` where there is
        none; ``draw`` puts the hidden ones in its place. Packed rows hold texts of the given
        records alone and belong to the first of them.

        Raises:
            InputError: The tokenizer has no mask, or ``max_length`` no room for text.
        """
        if not records:
            return []
        task, tokenizer = encoding.task, encoding.tokenizer
        if tokenizer.mask_token_id is None:
            raise InputError(
                f"task {task.name!r}: the model's tokenizer has no mask token. Use a model that "
                "was trained as a masked language model, such as XLM-R."
            )
        room = task.max_length - tokenizer.num_special_tokens_to_add(pair=False)
        if room < 1:
            raise InputError(
                f"task {task.name!r}: max_length {task.max_length} leaves no room for text. Raise "
                "training.max_length."
            )
        texts = tokenizer([record.text for record in records], add_special_tokens=False)[
            "input_ids"
        ]
        pieces = [
            (tuple(text[start : start + room]), source)
            for source, text in enumerate(texts)
            for start in range(0, len(text) or 1, room)
        ]
        if task.options.get("pack", False):
            pieces = _packed(pieces, room)
        before, after = _around(tokenizer)
        is_special = _vocabulary(tokenizer).is_special
        features = []
        for piece, source in pieces:
            maskable = len(piece) - int(is_special[list(piece)].sum())
            features.append(Feature((before + piece + after,), source, maskable or None))
        return features

    def draw(
        self, features: Sequence[Feature], indices: Sequence[int], tokenizer: Tokenizer, seed: int
    ) -> list[Feature]:
        """Hide some subwords of each example of a step; at least one of each."""
        vocabulary = _vocabulary(tokenizer)
        return [
            _hide(features[index], vocabulary, np.random.default_rng([seed, place]))
            for place, index in enumerate(indices)
        ]

    def labels(self, features: Sequence[Feature], num_tokens: int) -> Tensor:
        """Return the hidden subwords, `R x T`, ``IGNORE`` elsewhere."""
        return pad_rows([feature.label for feature in features], num_tokens, IGNORE)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over hidden subwords, of their logits alone, `N x V`."""
        return functional.cross_entropy(logits.float(), labels[labels != IGNORE], reduction="sum")

    def outputs(self, logits: Tensor, features: Sequence[Feature]) -> list[Any]:
        """Refuse: there is nothing to predict."""
        raise NotImplementedError("masked language modelling is trained on, not evaluated")

    def decode(
        self,
        records: Sequence[TextRecord],
        features: Sequence[Feature],
        outputs: Sequence[Any],
        encoding: Encoding,
    ) -> Mapping[str, Any]:
        """Refuse: there is nothing to predict."""
        raise NotImplementedError("masked language modelling is trained on, not evaluated")


class LanguageModelHead(Head):
    """A masked language model without its encoder: states in, a score of every subword out.

    Args:
        model: A masked language model of transformers, whose encoder is taken out of it. Its
            decoder stays tied to the encoder's word embeddings, where the model ties them: they
            are one parameter, which is trained through both of its uses.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        setattr(model, model.base_model_prefix, _GivenStates())
        self.model = model

    def forward(self, states_RTH: Tensor, mask_RT: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits of the labelled subwords, `N x V`; of all, `R x T x V`, without labels.

        XLM-R has 250,002 subwords: the logits of all tokens of a batch would not fit memory.
        """
        if labels is None:
            return self.model(inputs_embeds=states_RTH).logits  # type: ignore[no-any-return]
        states_1NH = states_RTH[labels != IGNORE].unsqueeze(0)
        return self.model(inputs_embeds=states_1NH).logits.squeeze(0)  # type: ignore[no-any-return]


class _GivenStates(nn.Module):
    """Stands where the encoder was: the states are already there, and passed on."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=inputs_embeds)


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """Subwords by what masking does with them.

    Attributes:
        mask: Id of the mask.
        is_special: Whether each id is of a special token.
        ordinary: Ids of all others.
    """

    mask: int
    is_special: np.ndarray[Any, np.dtype[np.bool_]]
    ordinary: np.ndarray[Any, np.dtype[np.int64]]


@lru_cache(maxsize=2)
def _vocabulary(tokenizer: Tokenizer) -> _Vocabulary:
    added = tokenizer.added_tokens_decoder.items()
    special = {index for index, token in added if token.special} | set(tokenizer.all_special_ids)
    known = set(tokenizer.get_vocab().values())
    is_special = np.zeros(max(known | special) + 1, dtype=np.bool_)
    is_special[list(special)] = True
    return _Vocabulary(int(tokenizer.mask_token_id), is_special, np.array(sorted(known - special)))


def _around(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens that the tokenizer puts before and after a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    row, is_special = encoded["input_ids"], encoded["special_tokens_mask"]
    first = is_special.index(0)
    last = len(row) - is_special[::-1].index(0)
    return tuple(row[:first]), tuple(row[last:])


def _packed(
    pieces: Sequence[tuple[tuple[int, ...], int]], room: int
) -> list[tuple[tuple[int, ...], int]]:
    """Join consecutive pieces while they fit; a joined piece has the source of its first."""
    packed: list[tuple[tuple[int, ...], int]] = []
    for piece, source in pieces:
        if packed and len(packed[-1][0]) + len(piece) <= room:
            packed[-1] = (packed[-1][0] + piece, packed[-1][1])
        else:
            packed.append((piece, source))
    return packed


def _hide(feature: Feature, vocabulary: _Vocabulary, rng: np.random.Generator) -> Feature:
    """Hide a share of the ordinary subwords: most masked, some exchanged, some left as they are.

    The share is rounded up or down at random so that its mean is exact, but to 1 at least: every
    example has a part in the loss.

    Source: Devlin et al. 2019, arXiv:1810.04805, section 3.1.
    """
    row = np.array(feature.rows[0])
    places = np.flatnonzero(~vocabulary.is_special[row])
    count = max(1, int(MASKED_SHARE * len(places) + rng.random()))
    hidden = rng.choice(places, count, replace=False)
    labels = np.full(len(row), IGNORE)
    labels[hidden] = row[hidden]
    how = rng.random(count)
    row[hidden[how < REPLACED_BY_MASK]] = vocabulary.mask
    exchanged = hidden[how >= REPLACED_BY_MASK + LEFT_ALONE]
    row[exchanged] = rng.choice(vocabulary.ordinary, len(exchanged))
    return replace(
        feature, rows=(tuple(row.tolist()),), label=tuple(labels.tolist()), num_units=count
    )
