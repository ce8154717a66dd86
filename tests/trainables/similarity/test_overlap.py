from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)
from trainables.similarity.overlap import subword_overlap, vocabulary_overlap, weighted_jaccard
from trainables.similarity.samples import Portion, texts_of

WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 1.0), min_size=1)


class Texts:
    """A bench that knows nothing but some subjects' portions."""

    def __init__(self, **portions):
        self._portions = portions

    def portions(self, name):
        return self._portions[name]

    def once(self, what, name, make):
        return make(name)

    def num_examples(self, *names):
        return sum(len(p.records) for name in names for p in self._portions[name])

    def tokenizer(self, text, **_):
        return {"input_ids": [ord(letter) for letter in text]}


def portion(*texts, share=1.0):
    records = tuple(TextRecord(str(i), text) for i, text in enumerate(texts))
    return Portion("raw_text", (), share, records)


def test_a_hand_computed_overlap():
    # a: the 2/4, cat 1/4, sat 1/4; b: the 1/4, cat 1/4, dog 2/4
    # minima: the 1/4, cat 1/4; maxima: the 2/4, cat 1/4, sat 1/4, dog 2/4
    bench = Texts(a=(portion("The cat", "the sat"),), b=(portion("the dog", "dog, cat!"),))
    found = vocabulary_overlap(bench, "a", "b")
    assert found.value == pytest.approx((1 / 4 + 1 / 4) / (2 / 4 + 1 / 4 + 1 / 4 + 2 / 4))
    assert found.num_examples == 4


def test_the_parts_of_a_mixture_weigh_their_shares():
    # x 3/4, y 1/4, whatever the lengths; against x alone: min 3/4, max 1 + 1/4
    bench = Texts(a=(portion("x", share=0.75), portion("y y y y", share=0.25)), b=(portion("x"),))
    assert vocabulary_overlap(bench, "a", "b").value == pytest.approx(0.75 / 1.25)


def test_subwords_are_the_tokenizers():
    # a 2/3, b 1/3 against a 1/3, b 2/3
    bench = Texts(a=(portion("aab"),), b=(portion("abb"),))
    assert subword_overlap(bench, "a", "b").value == pytest.approx(
        (1 / 3 + 1 / 3) / (2 / 3 + 2 / 3)
    )


def test_nothing_overlaps_with_nothing():
    assert math.isnan(weighted_jaccard({}, {}))
    assert weighted_jaccard({"a": 1.0}, {}) == 0.0


@given(WEIGHTS, WEIGHTS)
def test_the_index_is_symmetric_bounded_and_one_for_equals(first, second):
    value = weighted_jaccard(first, second)
    assert 0 <= value <= 1
    assert value == pytest.approx(weighted_jaccard(second, first))
    assert weighted_jaccard(first, first) == pytest.approx(1)


def test_the_texts_of_every_kind_of_record():
    assert texts_of(ClassificationRecord("1", "a", None, "x")) == ("a",)
    assert texts_of(ClassificationRecord("1", "a", "b", "x")) == ("a", "b")
    assert texts_of(TaggingRecord("1", ("a", "b"), ("X", "Y"))) == ("a b",)
    assert texts_of(QuestionRecord("1", "q", "c", None)) == ("q", "c")
    assert texts_of(ChoiceRecord("1", "c", "", ("a", "b"), 0)) == ("c", "a", "b")
    assert texts_of(RetrievalRecord("1", "a", True, None)) == ("a",)
    assert texts_of(TextRecord("1", "a")) == ("a",)


def test_on_the_mini_suite(bench, subjects):
    entail, pos = subjects["mini_entail"], subjects["mini_pos"]
    for measure in (vocabulary_overlap, subword_overlap):
        found = measure(bench, entail, pos)
        assert 0 < found.value < 1
        assert found.num_examples == 24
        assert found.value == pytest.approx(measure(bench, pos, entail).value)
        assert measure(bench, pos, pos).value == pytest.approx(1)
