"""The languages, as data: order of words, how grammar is marked, and where the words come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Slot = Literal["subject", "verb", "object", "recipient", "place", "time"]


@dataclass(frozen=True, slots=True)
class Language:
    """A constructed language.

    Attributes:
        code: Its code.
        order: Order of the parts of a sentence.
        adjective_first: Whether an adjective stands before its noun.
        postpositions: Whether adpositions stand after their noun phrase.
        articles: Whether there are articles.
        case: How roles are marked on noun phrases.
        verb_marking: Whether tense, negation and passive are words of their own or suffixes.
        question_first: Whether the word asked with moves to the front.
        cognates: Share of words that are the English-like word after sound change.
        kept_names: Share of names written as in the English-like language.
        sound_change: Replacements applied in turn to make a cognate.
        onsets: Beginnings of syllables of the language's own words.
        vowels: Middles of syllables.
        codas: Ends of words.
    """

    code: str
    order: tuple[Slot, ...]
    adjective_first: bool
    postpositions: bool
    articles: bool
    case: Literal["none", "particle", "suffix"]
    verb_marking: Literal["word", "suffix"]
    question_first: bool
    cognates: float
    kept_names: float
    sound_change: tuple[tuple[str, str], ...]
    onsets: tuple[str, ...]
    vowels: tuple[str, ...]
    codas: tuple[str, ...]


ENGLISH_LIKE = Language(
    code="en",
    order=("subject", "verb", "object", "recipient", "place", "time"),
    adjective_first=True,
    postpositions=False,
    articles=True,
    case="none",
    verb_marking="suffix",
    question_first=True,
    cognates=1.0,
    kept_names=1.0,
    sound_change=(),
    onsets=(),
    vowels=(),
    codas=(),
)

# A close relative: same order, many cognates, adjectives after the noun.
SIBLING = Language(
    code="sib",
    order=("time", "subject", "verb", "recipient", "object", "place"),
    adjective_first=False,
    postpositions=False,
    articles=True,
    case="none",
    verb_marking="word",
    question_first=True,
    cognates=0.9,
    kept_names=0.95,
    sound_change=(("sh", "sk"), ("w", "v"), ("oo", "u"), ("er", "ar")),
    onsets=("b", "d", "f", "g", "l", "m", "n", "r", "s", "st", "v"),
    vowels=("a", "e", "i", "o"),
    codas=("n", "r", "l", "s", "t"),
)

# Verb first, prepositions, a third of the words shared.
VERB_FIRST = Language(
    code="vso",
    order=("verb", "subject", "object", "recipient", "time", "place"),
    adjective_first=False,
    postpositions=False,
    articles=True,
    case="none",
    verb_marking="word",
    question_first=True,
    cognates=0.7,
    kept_names=0.9,
    sound_change=(("ch", "k"), ("ck", "c"), ("w", "gw"), ("er", "yr")),
    onsets=("c", "ch", "dd", "gw", "ll", "m", "n", "p", "rh", "t"),
    vowels=("a", "e", "w", "y", "ai"),
    codas=("n", "dd", "th", "s", "r", ""),
)

# Verb last, postpositions, roles marked by particles.
VERB_LAST = Language(
    code="sov",
    order=("time", "subject", "place", "recipient", "object", "verb"),
    adjective_first=True,
    postpositions=True,
    articles=False,
    case="particle",
    verb_marking="word",
    question_first=False,
    cognates=0.75,
    kept_names=0.85,
    sound_change=(("l", "r"), ("v", "b"), ("er", "a"), ("ck", "kk")),
    onsets=("h", "j", "k", "m", "n", "r", "s", "t", "y", "z"),
    vowels=("a", "i", "u", "e", "o"),
    codas=("", "", "n"),
)

# Verb last, everything grammatical a suffix with vowel harmony, few cognates.
AGGLUTINATING = Language(
    code="agg",
    order=("subject", "time", "place", "object", "recipient", "verb"),
    adjective_first=True,
    postpositions=True,
    articles=False,
    case="suffix",
    verb_marking="suffix",
    question_first=False,
    cognates=0.6,
    kept_names=0.85,
    sound_change=(("w", "v"), ("ck", "k"), ("th", "t"), ("er", "ir")),
    onsets=("b", "d", "g", "k", "l", "m", "s", "t", "v", "y"),
    vowels=("a", "e", "i", "o", "u"),
    codas=("k", "l", "m", "n", "r", "z", ""),
)

BY_CODE: dict[str, Language] = {
    language.code: language
    for language in (ENGLISH_LIKE, SIBLING, VERB_FIRST, VERB_LAST, AGGLUTINATING)
}
LANGUAGES: tuple[str, ...] = tuple(BY_CODE)
