"""The languages are what their declarations say."""

from __future__ import annotations

import pytest

from trainables.mini import LANGUAGES
from trainables.mini.languages import BY_CODE
from trainables.mini.lexicon import CONCEPTS, GRAMMAR, grammar_word, noun_form, root, verb_form
from trainables.mini.realise import Style, Word, located, realise, text_of
from trainables.mini.world import Event, Thing

EVENT = Event(
    verb="hand",
    tense="past",
    agent=Thing("baker", "the"),
    patient=Thing("cart", "two", "big"),
    recipient=Thing(name=("Anna", "Berg"), name_kind="PER"),
    place=Thing(name=("Oslo",), name_kind="LOC"),
    time="yesterday",
)
OTHERS = [code for code in LANGUAGES if code != "en"]


def test_the_english_like_sentence():
    sentence = text_of(realise("en", EVENT))
    assert sentence == "the baker handed two big carts to Anna Berg in Oslo yesterday."


def test_the_english_like_passive_with_synonyms():
    event = Event("push", "future", Thing("dog", "a"), Thing("boat", "three", "big"), negated=True)
    sentence = text_of(realise("en", event, Style(passive=True, synonyms=True)))
    assert sentence == "three large ships will never be shoved by a dog."


def test_the_english_like_question():
    assert (
        text_of(realise("en", EVENT, Style(asked="patient")))
        == "what the baker handed to Anna Berg in Oslo yesterday?"
    )


@pytest.mark.parametrize(
    ("tense", "plural", "passive", "form"),
    [
        ("past", False, False, "pushed"),
        ("present", False, False, "pushes"),
        ("present", True, False, "push"),
        ("future", False, False, "push"),
        ("present", False, True, "pushed"),
    ],
)
def test_english_like_verbs(tense, plural, passive, form):
    made = verb_form("en", "push", tense=tense, plural=plural, passive=passive, negated=False)
    assert made == form


@pytest.mark.parametrize("code", LANGUAGES)
def test_parts_stand_in_the_declared_order(code):
    words = realise(code, EVENT)
    places = {"subject": "agent", "object": "patient", "recipient": "recipient", "place": "place"}
    first = {slot: _first(words, role) for slot, role in places.items()}
    first["time"] = _first(words, "time")
    first["verb"] = next(at for at, word in enumerate(words) if word.pos == "VERB")
    assert sorted(first, key=first.__getitem__) == list(BY_CODE[code].order)


@pytest.mark.parametrize("code", LANGUAGES)
def test_adjectives_stand_where_declared(code):
    words = realise(code, EVENT)
    adjective = next(at for at, word in enumerate(words) if word.pos == "ADJ")
    noun = next(at for at, w in enumerate(words) if w.pos == "NOUN" and w.role == "patient")
    assert (adjective < noun) == BY_CODE[code].adjective_first


@pytest.mark.parametrize("code", LANGUAGES)
def test_adpositions_stand_where_declared_or_are_suffixes(code):
    words = realise(code, EVENT)
    adpositions = [at for at, word in enumerate(words) if word.pos == "ADP"]
    place = _first(words, "place")
    if BY_CODE[code].case == "suffix":
        assert adpositions == []
        assert words[place].text != "Oslo"
    else:
        assert (place + 1 if BY_CODE[code].postpositions else place - 1) in adpositions


@pytest.mark.parametrize("code", LANGUAGES)
def test_articles_and_particles_only_where_declared(code):
    kinds = {word.pos for word in realise(code, EVENT)}
    assert ("DET" in kinds) == BY_CODE[code].articles
    assert ("PART" in kinds) == (BY_CODE[code].case == "particle")


@pytest.mark.parametrize("code", OTHERS)
def test_cognates_come_near_their_declared_share(code):
    language = BY_CODE[code]
    cognates = 0
    for concept in CONCEPTS:
        changed = concept
        for old, new in language.sound_change:
            changed = changed.replace(old, new)
        cognates += root(code, concept) == changed
    assert cognates / len(CONCEPTS) == pytest.approx(language.cognates, abs=0.15)


@pytest.mark.parametrize("code", OTHERS)
def test_own_words_have_no_homonyms(code):
    words = [root(code, concept) for concept in CONCEPTS]
    words += [grammar_word(code, function) for function in GRAMMAR]
    assert len(set(words)) == len(words)


def test_suffixes_harmonise_with_the_last_vowel_of_the_word():
    for noun in ("baker", "dog", "bird", "horse", "apple", "garden"):
        form = noun_form("agg", noun, plural=True)
        suffix = form.removeprefix(root("agg", noun))
        stem_vowel = [letter for letter in root("agg", noun) if letter in "aeiou"][-1]
        assert ("a" in suffix) == (stem_vowel in "aou")
        assert ("e" in suffix) == (stem_vowel in "ei")


def test_the_agglutinating_verb_is_one_word_and_longer_with_every_mark():
    plain = verb_form("agg", "push", tense="past", plural=False, passive=False, negated=False)
    passive = verb_form("agg", "push", tense="past", plural=False, passive=True, negated=False)
    everything = verb_form("agg", "push", tense="past", plural=True, passive=True, negated=True)
    assert len(plain) < len(passive) < len(everything)
    assert " " not in everything


def test_located_says_where_words_start():
    text, starts = located((Word("ab", "NOUN"), Word("c", "VERB"), Word(".", "PUNCT")))
    assert text == "ab c."
    assert starts == (0, 3, 4)


def _first(words, role):
    return next(at for at, word in enumerate(words) if word.role == role)
