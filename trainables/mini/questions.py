"""Questions on a short text whose answer is a phrase of it, or is not there at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trainables.mini.chance import Chance
from trainables.mini.realise import Role, Style, Word, located, realise, text_of, thing_in
from trainables.mini.world import ALIKE, VERBS, Event, draw_animate, draw_event
from trainables.records import Answer, QuestionRecord

ASKABLE: tuple[Role, ...] = ("agent", "patient", "recipient", "place")


def questions(
    key: tuple[str, str], language: str, size: int, *, unanswerable: float = 0.0
) -> Iterator[QuestionRecord]:
    """Yield questions on two sentences that tell of similar events.

    Args:
        key: Task and split; records of the same key are translations of one another.
        language: Code of the language.
        size: Number of records.
        unanswerable: Share of questions on something the text does not tell.
    """
    for index in range(size):
        chance = Chance(*key, index)
        events = _two_events(chance)
        styles = [Style(passive=chance.below(0.15)) for _ in events]
        about = chance.number(2)
        role = chance.pick(askable(events[about]))
        asked = events[about]
        missing = chance.below(unanswerable)
        if missing:
            asked, role = _untold(chance, events, about, role)
        asked = _shortened(chance, asked, role)
        style = Style(passive=chance.below(0.15), synonyms=chance.below(0.15), asked=role)
        sentences = [
            realise(language, event, how) for event, how in zip(events, styles, strict=True)
        ]
        context, answer = _find(sentences, about, role)
        yield QuestionRecord(
            id=str(index),
            question=text_of(realise(language, asked, style)),
            context=context,
            answers=() if missing else (answer,),
        )


def askable(event: Event) -> list[Role]:
    """Return the roles that an event fills, which can be asked for."""
    filled = [role for role in ASKABLE if thing_in(event, role) is not None]
    return [*filled, "time"] if event.time is not None else filled


def _two_events(chance: Chance) -> tuple[Event, Event]:
    """Two events that share a verb, or nearly, so that the verb alone does not answer."""
    first = draw_event(chance, negation=0, place=0.5, time=0.4)
    verbs = (
        (first.verb,) if chance.below(0.4) else tuple(verb for verb in VERBS if verb != first.verb)
    )
    while True:
        second = draw_event(chance, verbs=verbs, negation=0, place=0.5, time=0.4)
        if second.agent != first.agent and second.patient != first.patient:
            return first, second
        if second.agent != first.agent and first.patient is None:
            return first, second


def _shortened(chance: Chance, event: Event, role: Role) -> Event:
    """Leave details out of the question that are not needed to understand it."""
    if role != "time" and chance.below(0.6):
        event = replace(event, time=None)
    if role != "place" and chance.below(0.6):
        event = replace(event, place=None)
    return event


def _untold(
    chance: Chance, events: tuple[Event, Event], about: int, role: Role
) -> tuple[Event, Role]:
    """Ask of an event that was not told: with someone else in it, or with another verb."""
    told = events[about]
    if role != "agent":
        stranger = draw_animate(chance)
        while stranger in (events[0].agent, events[1].agent):
            stranger = draw_animate(chance)
        return replace(told, agent=stranger), role
    verbs = ALIKE[told.verb]
    return replace(told, verb=chance.other(verbs, events[0].verb, events[1].verb)), role


def _find(sentences: list[tuple[Word, ...]], about: int, role: Role) -> tuple[str, Answer]:
    words = [word for sentence in sentences for word in sentence]
    before = sum(len(sentence) for sentence in sentences[:about])
    context, starts = located(words)
    inside = [
        before + at for at, word in enumerate(sentences[about]) if word.role == role
    ]  # fmt: skip
    start, last = starts[inside[0]], inside[-1]
    return context, Answer(context[start : starts[last] + len(words[last].text)], start)
