"""Sentence pairs: entailment and paraphrase.

A hypothesis is made from its premise by one change whose consequence is known: leaving a detail
out or naming something more generally is entailed, adding a detail or exchanging who did it is
open, and a changed detail, number or polarity contradicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from trainables.mini.chance import Chance
from trainables.mini.realise import Style, realise, text_of
from trainables.mini.world import (
    ALIKE,
    ANTONYM,
    KIND_OF,
    NUMBERS,
    TIMES,
    Event,
    Thing,
    draw_animate,
    draw_event,
    draw_place,
)
from trainables.records import ClassificationRecord

Change = Callable[[Chance, Event], Event | None]


def entailment(key: tuple[str, str], language: str, size: int) -> Iterator[ClassificationRecord]:
    """Yield premise and hypothesis with "entailment", "neutral" or "contradiction".

    Args:
        key: Task and split; records of the same key are translations of one another.
        language: Code of the language.
        size: Number of records.
    """
    for index in range(size):
        chance = Chance(*key, index)
        label = chance.pick(tuple(CHANGES))
        premise, hypothesis = _changed(chance, CHANGES[label], negation=0.1)
        first, second = _style(chance), _style(chance)
        yield ClassificationRecord(
            id=str(index),
            text=text_of(realise(language, premise, first)),
            text_pair=text_of(realise(language, hypothesis, second)),
            label=label,
        )


def paraphrase(key: tuple[str, str], language: str, size: int) -> Iterator[ClassificationRecord]:
    """Yield pairs of sentences with "same" or "different" meaning, most words shared either way.

    Args:
        key: Task and split; records of the same key are translations of one another.
        language: Code of the language.
        size: Number of records.
    """
    for index in range(size):
        chance = Chance(*key, index)
        label = chance.pick(("same", "different"))
        changes = (_swap_roles, _other_verb, _other_detail) if label == "different" else (_nothing,)
        event, other = _changed(chance, changes, negation=0.1)
        reworded = Style(passive=chance.below(0.3), synonyms=chance.below(0.5))
        yield ClassificationRecord(
            id=str(index),
            text=text_of(realise(language, event)),
            text_pair=text_of(realise(language, other, reworded)),
            label=label,
        )


def _style(chance: Chance) -> Style:
    return Style(passive=chance.below(0.15), synonyms=chance.below(0.15))


def _changed(
    chance: Chance, changes: tuple[Change, ...], *, negation: float
) -> tuple[Event, Event]:
    """Draw events until one admits the change drawn for it."""
    while True:
        event = draw_event(chance, negation=negation, place=0.4, time=0.4)
        other = chance.pick(changes)(chance, event)
        if other is not None:
            return event, other


def _nothing(chance: Chance, event: Event) -> Event | None:
    return event


def _leave_out(chance: Chance, event: Event) -> Event | None:
    """What happened somewhere or at some time happened; what did not happen there is open."""
    if event.negated or (event.place is None and event.time is None):
        return None
    if event.place is not None and (event.time is None or chance.below(0.5)):
        return replace(event, place=None)
    return replace(event, time=None)


def _generalise(chance: Chance, event: Event) -> Event | None:
    agent = event.agent
    if event.negated or KIND_OF.get(agent.noun) not in ("worker", "animal"):
        return None
    return replace(event, agent=replace(agent, noun=KIND_OF[agent.noun], adjective=None))


def _drop_property(chance: Chance, event: Event) -> Event | None:
    if event.negated:
        return None
    if event.patient is not None and event.patient.adjective:
        return replace(event, patient=replace(event.patient, adjective=None))
    if event.agent.adjective:
        return replace(event, agent=replace(event.agent, adjective=None))
    return None


def _negate(chance: Chance, event: Event) -> Event | None:
    return replace(event, negated=not event.negated)


def _other_detail(chance: Chance, event: Event) -> Event | None:
    """Another place or time than the one it happened at (each event happens once)."""
    if event.negated:
        return None
    if event.place is not None:
        return replace(event, place=_other_thing(chance, draw_place, event.place))
    if event.time is not None:
        same_tense = tuple(time for time, tense in TIMES.items() if tense == event.tense)
        return replace(event, time=chance.other(same_tense, event.time))
    return None


def _opposite(chance: Chance, event: Event) -> Event | None:
    """The opposite property, or another number."""
    if event.negated:
        return None
    agent, patient = _opposite_thing(chance, event.agent), None
    if event.patient is not None:
        patient = _opposite_thing(chance, event.patient)
    if patient is not None and (agent is None or chance.below(0.5)):
        return replace(event, patient=patient)
    return None if agent is None else replace(event, agent=agent)


def _opposite_thing(chance: Chance, thing: Thing) -> Thing | None:
    if thing.adjective in ANTONYM:
        return replace(thing, adjective=ANTONYM[thing.adjective])
    if thing.is_plural:
        return replace(thing, quantity=chance.other(NUMBERS, thing.quantity))
    return None


def _add_detail(chance: Chance, event: Event) -> Event | None:
    if event.negated:
        return None
    if event.place is None:
        return replace(event, place=draw_place(chance))
    if event.time is None:
        same_tense = tuple(time for time, tense in TIMES.items() if tense == event.tense)
        return replace(event, time=chance.pick(same_tense))
    return None


def _other_agent(chance: Chance, event: Event) -> Event | None:
    return replace(event, agent=_other_thing(chance, draw_animate, event.agent))


def _swap_roles(chance: Chance, event: Event) -> Event | None:
    """Exchange two who can do either part."""
    if event.patient is not None and event.patient.is_animate and event.patient != event.agent:
        return replace(event, agent=event.patient, patient=event.agent)
    if event.recipient is not None and event.recipient != event.agent:
        return replace(event, agent=event.recipient, recipient=event.agent)
    return None


def _other_verb(chance: Chance, event: Event) -> Event | None:
    return replace(event, verb=chance.other(ALIKE[event.verb], event.verb))


def _other_thing(chance: Chance, draw: Callable[[Chance], Thing], taken: Thing) -> Thing:
    while (thing := draw(chance)) == taken:
        pass
    return thing


# A change named twice is drawn twice as often.
CHANGES: dict[str, tuple[Change, ...]] = {
    "entailment": (_nothing, _leave_out, _leave_out, _generalise, _drop_property),
    "neutral": (_add_detail, _add_detail, _other_agent, _other_verb, _swap_roles),
    "contradiction": (_negate, _negate, _negate, _other_detail, _opposite),
}
