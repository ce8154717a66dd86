"""The vocabulary trainer, on cases small enough to work out."""

from __future__ import annotations

import math

from trainables.mini.vocabulary import segment, train_vocabulary

TEXTS = ["abab abab cab.", "abab cab?"] * 3


def test_segmentation_is_the_most_probable_one():
    scores = {"a": -2.0, "b": -2.0, "c": -2.0, "ab": -3.0, "abc": -7.5}
    assert segment("abc", scores) == ["ab", "c"]
    assert segment("ba", scores) == ["b", "a"]


def test_every_character_is_a_piece():
    pieces = dict(train_vocabulary(TEXTS, size=12))
    assert set("abc▁.?") <= set(pieces)
    assert len(pieces) <= 12


def test_frequent_words_become_pieces():
    pieces = dict(train_vocabulary(TEXTS, size=12))
    assert segment("▁abab", pieces) == ["▁abab"]
    assert segment("▁cab", pieces) == ["▁cab"]


def test_punctuation_stays_apart():
    pieces = dict(train_vocabulary(TEXTS, size=40))
    assert all(len(piece) == 1 for piece in pieces if "." in piece or "?" in piece)


def test_scores_are_log_probabilities_in_falling_order():
    pieces = train_vocabulary(TEXTS, size=12)
    scores = [score for _, score in pieces]
    assert scores == sorted(scores, reverse=True)
    assert math.isclose(sum(map(math.exp, scores)), 1.0)
