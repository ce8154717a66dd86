"""Words of a language: roots, inflected forms and the small words of its grammar."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from trainables.mini.chance import Chance
from trainables.mini.languages import BY_CODE, Language
from trainables.mini.world import (
    ADJECTIVES,
    COMPANY_WORDS,
    KIND_OF,
    MEMBERS,
    NUMBERS,
    SYNONYM,
    TIMES,
    TOWN_WORDS,
    VERBS,
    Tense,
)

_CONCEPT_GROUPS: tuple[Iterable[str], ...] = (
    KIND_OF, MEMBERS, ADJECTIVES, VERBS, ("have",), SYNONYM.values(), TIMES, NUMBERS,
    COMPANY_WORDS, TOWN_WORDS,
)  # fmt: skip
CONCEPTS: tuple[str, ...] = tuple(
    dict.fromkeys(concept for group in _CONCEPT_GROUPS for concept in group)
)
GRAMMAR: tuple[str, ...] = (
    "the", "a", "in", "to", "by", "never", "will", "be", "passive", "past", "present",
    "who", "what", "where", "when", "case:subject", "case:object",
)  # fmt: skip
_ENGLISH_HAS_NONE = frozenset({"be", "passive", "past", "present", "case:subject", "case:object"})
SUFFIXES: tuple[str, ...] = (
    "plural", "case:object", "case:recipient", "case:place", "case:by",
    "tense:past", "tense:present", "tense:future", "passive", "negation",
)  # fmt: skip

# Tense to the forms for one and for several.
_IRREGULAR: dict[str, dict[Tense, tuple[str, str]]] = {
    "have": {"past": ("had", "had"), "present": ("has", "have"), "future": ("have", "have")},
    "be": {"past": ("was", "were"), "present": ("is", "are"), "future": ("be", "be")},
}
_BACK_VOWELS = frozenset("aou")


def root(code: str, concept: str) -> str:
    """Return a language's word for a concept: a cognate, or a word of its own.

    Args:
        code: The language.
        concept: The English-like lemma that names the concept.
    """
    return concept if code == "en" else _words(code)[concept]


@cache
def name_part(code: str, part: str) -> str:
    """Return how a language writes one capitalised part of a name."""
    language = BY_CODE[code]
    if Chance("name", code, part).below(language.kept_names):
        return part
    return _sound_change(language, part.lower()).capitalize()


def grammar_word(code: str, function: str) -> str:
    """Return the small word with a grammatical function.

    Args:
        code: The language.
        function: One of ``GRAMMAR``.
    """
    return function if code == "en" else _words(code)[f"grammar:{function}"]


def noun_form(code: str, noun: str, *, plural: bool, case: str = "") -> str:
    """Inflect a noun.

    Args:
        code: The language.
        noun: Its concept.
        plural: Whether it is plural.
        case: Case suffix to add ("object", "recipient", "place", "by"); empty for none.
    """
    word = root(code, noun)
    if code == "en":
        return _english_s(word) if plural else word
    if plural:
        word = _suffixed(code, word, "plural")
    return _suffixed(code, word, f"case:{case}") if case else word


def with_case(code: str, word: str, case: str) -> str:
    """Add a case suffix to a word that is not a common noun, such as a name."""
    return _suffixed(code, word, f"case:{case}") if case else word


def verb_form(
    code: str, verb: str, *, tense: Tense, plural: bool, passive: bool, negated: bool
) -> str:
    """Inflect a verb with what its language marks by suffixes.

    The English-like future has a word of its own, and so has everything in languages whose
    ``verb_marking`` is "word".
    """
    word = root(code, verb)
    if code == "en":
        return _english_verb(word, tense, plural=plural, passive=passive)
    if BY_CODE[code].verb_marking == "word":
        return word
    marks = ["passive"] * passive + ["negation"] * negated + [f"tense:{tense}"]
    for mark in marks + ["plural"] * plural:
        word = _suffixed(code, word, mark)
    return word


def _english_verb(word: str, tense: Tense, *, plural: bool, passive: bool) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word][tense][plural]
    if passive or tense == "past":
        if word.endswith("e"):
            return word + "d"
        if word.endswith("y") and word[-2] not in "aeo":
            return word[:-1] + "ied"
        return word + "ed"
    return word if plural or tense == "future" else _english_s(word)


def _english_s(word: str) -> str:
    if word.endswith(("s", "sh", "ch", "x")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeo":
        return word[:-1] + "ies"
    return word + "s"


@cache
def _words(code: str) -> dict[str, str]:
    """All roots and small words of a language but the English-like one, without homonyms."""
    language = BY_CODE[code]
    concepts = {concept: concept for concept in CONCEPTS}
    functions = {f"grammar:{function}": function for function in GRAMMAR}
    words = {
        key: _sound_change(language, lemma)
        for key, lemma in (concepts | functions).items()
        if lemma not in _ENGLISH_HAS_NONE and Chance("cognate", code, key).below(language.cognates)
    }
    taken = set(words.values())
    for key in concepts | functions:
        if key in words:
            continue
        chance = Chance("coin", code, key)
        syllables = 1 if key.startswith("grammar:") else 2
        while (word := _coin(language, chance, syllables)) in taken:
            pass
        words[key] = word
        taken.add(word)
    return words


@cache
def _suffixes(code: str) -> dict[str, str]:
    """Suffixes: a consonant, a harmonising vowel ("A") and perhaps a consonant; no two alike."""
    language = BY_CODE[code]
    suffixes: dict[str, str] = {}
    for mark in SUFFIXES:
        chance = Chance("suffix", code, mark)
        while (suffix := chance.pick(language.onsets) + "A" + chance.pick(language.codas)) in set(
            suffixes.values()
        ):
            pass
        suffixes[mark] = suffix
    return suffixes


def _suffixed(code: str, word: str, mark: str) -> str:
    vowels = [letter for letter in word.lower() if letter in "aeiou"]
    harmonic = "a" if vowels and vowels[-1] in _BACK_VOWELS else "e"
    return word + _suffixes(code)[mark].replace("A", harmonic)


def _sound_change(language: Language, word: str) -> str:
    for old, new in language.sound_change:
        word = word.replace(old, new)
    return word


def _coin(language: Language, chance: Chance, syllables: int) -> str:
    parts = [chance.pick(language.onsets) + chance.pick(language.vowels) for _ in range(syllables)]
    return "".join(parts) + chance.pick(language.codas)
