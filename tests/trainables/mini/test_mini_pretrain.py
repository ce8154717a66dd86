"""Masking and batching of the pre-training script."""

from __future__ import annotations

import pytest
import torch

from trainables.mini.pretrain import IGNORED, Passages, mask

MASK_ID = 99


def _masked(seed: int = 0, rows: int = 400):
    input_ids = torch.tensor([[0, 10, 11, 12, 2, 2, 13, 14, 2, 1]]).repeat(rows, 1)
    answers = torch.zeros_like(input_ids, dtype=torch.bool)
    answers[:, 6:8] = True
    chance = torch.Generator().manual_seed(seed)
    return input_ids, *mask(input_ids, answers, 100, MASK_ID, chance)


def test_special_subwords_are_never_hidden():
    input_ids, inputs, labels = _masked()
    special = input_ids <= 2
    assert torch.equal(inputs[special], input_ids[special])
    assert (labels[special] == IGNORED).all()


def test_labels_are_the_hidden_subwords_and_the_rest_is_untouched():
    input_ids, inputs, labels = _masked()
    hidden = labels != IGNORED
    assert torch.equal(labels[hidden], input_ids[hidden])
    assert torch.equal(inputs[~hidden], input_ids[~hidden])


def test_a_fifth_is_hidden_four_fifths_of_it_masked():
    _, inputs, labels = _masked(rows=4000)
    hidden = labels[:, 1:4] != IGNORED
    assert hidden.float().mean().item() == pytest.approx(0.2, abs=0.01)
    masked = inputs[:, 1:4][hidden] == MASK_ID
    assert masked.float().mean().item() == pytest.approx(0.8, abs=0.03)


def test_half_of_the_answers_are_masked_whole():
    _, inputs, _ = _masked(rows=4000)
    whole = (inputs[:, 6:8] == MASK_ID).all(dim=1).float().mean().item()
    by_chance = 0.5 * (0.2 * 0.8) ** 2
    assert whole == pytest.approx(0.5 + by_chance, abs=0.03)


class OneSubwordAWord:
    """Stands in for a tokenizer."""

    def __init__(self):
        self.ids = {}

    def __call__(self, texts, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [[self._id(word) for word in text.split()] for text in texts]}

    def _id(self, word):
        return self.ids.setdefault(word, 10 + len(self.ids))


def test_answers_are_marked_without_their_last_subword():
    tokenizer = OneSubwordAWord()
    texts = {"en": ["Berg waits . who waits ? Berg ."] * 3}
    passages = Passages(tokenizer, texts, torch.Generator().manual_seed(0))
    berg = tokenizer.ids["Berg"]
    input_ids, answers = passages.batch()
    assert answers.sum(dim=1).eq(1).all()
    for row, marked in zip(input_ids.tolist(), answers.tolist(), strict=True):
        assert row[0] == 0
        assert [piece for piece, is_answer in zip(row, marked, strict=True) if is_answer] == [berg]
        assert marked.index(True) > row.index(berg)


def test_batches_hold_whole_passages_or_pairs():
    tokenizer = OneSubwordAWord()
    texts = {"en": ["Berg waits ."] * 3, "sib": ["Berg vaits ."] * 3}
    passages = Passages(tokenizer, texts, torch.Generator().manual_seed(0))
    seen = set()
    for _ in range(20):
        input_ids, answers = passages.batch()
        assert not answers.any()
        seen |= {row.count(2) for row in input_ids.tolist()}
    # One segment ends in one separator; a pair has three in all.
    assert seen == {1, 3}
