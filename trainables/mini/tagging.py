"""Tags for every word: part of speech, names, structure; and tags that mean nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trainables.mini.chance import Chance
from trainables.mini.realise import Style, Word, realise
from trainables.mini.world import draw_event
from trainables.records import TaggingRecord

NOISE_LABELS = ("X0", "X1", "X2", "X3", "X4", "X5")


def tagged(
    key: tuple[str, str], language: str, size: int, tag: Callable[[Word], str]
) -> Iterator[TaggingRecord]:
    """Yield sentences with one tag a word.

    Args:
        key: Task and split; records of the same key are translations of one another.
        language: Code of the language.
        size: Number of records.
        tag: Reads a word's tag.
    """
    for index in range(size):
        words = _sentence(Chance(*key, index), language)
        yield TaggingRecord(
            id=str(index),
            tokens=tuple(word.text for word in words),
            tags=tuple(tag(word) for word in words),
        )


def noise(key: tuple[str, str], language: str, size: int) -> Iterator[TaggingRecord]:
    """Yield shuffled words with tags drawn for each place alone: nothing to learn but to forget.

    Args:
        key: Task and split.
        language: Code of the language.
        size: Number of records.
    """
    for index in range(size):
        chance = Chance(*key, index)
        words = chance.shuffled(_sentence(chance, language))
        yield TaggingRecord(
            id=str(index),
            tokens=tuple(word.text for word in words),
            tags=tuple(chance.pick(NOISE_LABELS) for _ in words),
        )


def part_of_speech(word: Word) -> str:
    """Return the word's part of speech."""
    return word.pos


def name_tag(word: Word) -> str:
    """Return the IOB2 tag of the name the word is part of."""
    return word.entity


def supertag(word: Word) -> str:
    """Return the word's part in the structure of its sentence."""
    return word.supertag


def _sentence(chance: Chance, language: str) -> tuple[Word, ...]:
    event = draw_event(chance, place=0.5)
    return realise(language, event, Style(passive=chance.below(0.3), synonyms=chance.below(0.3)))
