"""Raw text of each language, and sentences with their translations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trainables.mini.chance import Chance
from trainables.mini.questions import askable
from trainables.mini.realise import Style, realise, text_of
from trainables.mini.world import Event, draw_event
from trainables.records import RetrievalRecord, TextRecord

CORPUS_SIZE = 8000


def corpus(language: str, *, size: int = CORPUS_SIZE) -> list[str]:
    """Return the raw text of a language: statements, restatements, questions with their answers.

    The languages tell of the same world, and line ``i`` of each of the same events, as comparable
    corpora do.

    Args:
        language: Code of the language.
        size: Number of lines.
    """
    return [_passage(Chance("corpus", index), language) for index in range(size)]


def raw_text(key: tuple[str, str], language: str, size: int) -> Iterator[TextRecord]:
    """Yield passages in the manner of the corpus, other ones than those of pre-training.

    Args:
        key: Task and split.
        language: Code of the language.
        size: Number of records.
    """
    for index in range(size):
        yield TextRecord(id=str(index), text=_passage(Chance(*key, index), language))


def translations(key: tuple[str, str], language: str, size: int) -> Iterator[RetrievalRecord]:
    """Yield sentences of a language as queries, and their English-like translations to find.

    Args:
        key: Task and split.
        language: Code of the language of the queries.
        size: Number of queries and of candidates.
    """
    events: list[Event] = []
    chance = Chance(*key)
    seen: set[str] = set()
    while len(events) < size:
        event = draw_event(chance, place=0.5)
        text = text_of(realise("en", event))
        if text not in seen:
            seen.add(text)
            events.append(event)
    for index, event in enumerate(events):
        text = text_of(realise(language, event))
        yield RetrievalRecord(id=f"q{index}", text=text, is_query=True, gold=(f"c{index}",))
    for index, event in enumerate(events):
        yield RetrievalRecord(
            id=f"c{index}", text=text_of(realise("en", event)), is_query=False, gold=()
        )


def _passage(chance: Chance, language: str) -> str:
    event = draw_event(chance)
    said = realise(language, event, _style(chance))
    texts = [text_of(said)]
    kind = chance.number(8)
    if kind in (1, 2):
        texts.append(text_of(realise(language, event, _style(chance))))
    elif kind in (3, 4, 5, 6):
        role = chance.pick(askable(event))
        question = text_of(realise(language, event, replace(_style(chance), asked=role)))
        answer = " ".join(word.text for word in said if word.role == role)
        texts = [question, *texts] if kind < 5 else [*texts, question, f"{answer}."]
    elif kind == 7:
        texts.append(text_of(realise(language, draw_event(chance), _style(chance))))
    return " ".join(texts)


def _style(chance: Chance) -> Style:
    return Style(passive=chance.below(0.3), synonyms=chance.below(0.3))
