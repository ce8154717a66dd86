from __future__ import annotations

import math

import pytest

from spaces.languages import TABLE
from trainables.similarity.subjects import Subject
from trainables.similarity.typology import language_similarity, typological_similarity


def subject(*languages):
    return Subject("t", "target", None, languages, (), "")


def test_hand_computed_similarities():
    # Finnish and Hungarian: Uralic, agglutinative, Latin; Finnic against Ugric
    assert language_similarity("fi", "hu") == 3 / 4
    # Haitian has no morphological type in the table: family, genus, script
    assert language_similarity("ht", "en") == 1 / 3
    assert math.isnan(language_similarity("en", "sib"))


def test_every_pair_of_languages_counts_alike():
    # en: 1; fi against en: Latin script alone, 1/4
    found = typological_similarity(None, subject("en"), subject("en", "fi"))
    assert found.value == pytest.approx((1 + 1 / 4) / 2)
    both = typological_similarity(None, subject("en", "fi"), subject("hu"))
    assert both.value == pytest.approx((1 / 4 + 3 / 4) / 2)


def test_languages_of_no_known_group_are_left_out():
    assert typological_similarity(None, subject("en"), subject("de", "sib")).value == 1
    found = typological_similarity(None, subject("en"), subject("sib", "vso"))
    assert math.isnan(found.value)
    assert found.note == "the language table has none of sib, vso"


@pytest.mark.parametrize("code", sorted(TABLE))
def test_a_language_is_itself(code):
    assert language_similarity(code, code) == 1
