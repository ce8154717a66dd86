"""Plausible continuations: what holds after an event, among things that need not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trainables.mini.chance import Chance
from trainables.mini.realise import Style, realise, text_of
from trainables.mini.world import ANTONYM, GIVING, OUTCOME, Event, draw_event
from trainables.records import ChoiceRecord


def completions(key: tuple[str, str], language: str, size: int) -> Iterator[ChoiceRecord]:
    """Yield an event and four sentences, one of which follows from it.

    What is handed over is then had by the receiver, what is washed is clean, who laughs is happy;
    and if it never happened, the opposite holds.

    Args:
        key: Task and split; records of the same key are translations of one another.
        language: Code of the language.
        size: Number of records.
    """
    for index in range(size):
        chance = Chance(*key, index)
        told = draw_event(chance, verbs=tuple(OUTCOME) + GIVING, negation=0.3, place=0.2)
        right, wrong = _giving(told) if told.verb in GIVING else _outcome(chance, told)
        order = chance.shuffled((right, *wrong))
        style = Style(passive=chance.below(0.3), synonyms=chance.below(0.3))
        yield ChoiceRecord(
            id=str(index),
            context=text_of(realise(language, told, style)),
            question="",
            choices=tuple(text_of(realise(language, event)) for event in order),
            label=order.index(right),
        )


def _giving(told: Event) -> tuple[Event, list[Event]]:
    assert told.recipient is not None
    right = Event("have", told.tense, told.recipient, told.patient, negated=told.negated)
    keeps = replace(right, agent=told.agent)
    odd = (
        replace(keeps, patient=told.recipient)
        if told.negated
        else replace(right, patient=told.agent)
    )
    return right, [replace(right, negated=not told.negated), keeps, odd]


def _outcome(chance: Chance, told: Event) -> tuple[Event, list[Event]]:
    whose, state = OUTCOME[told.verb]
    changed = told.patient if whose == "patient" and told.patient is not None else told.agent
    if told.negated:
        state = ANTONYM[state]
    right = Event("be", told.tense, replace(changed, adjective=None), state=state)
    unrelated = chance.other(tuple(ANTONYM), state, ANTONYM[state])
    wrong = [replace(right, state=ANTONYM[state]), replace(right, state=unrelated)]
    if whose == "patient":
        wrong.append(replace(right, agent=replace(told.agent, adjective=None)))
    else:
        wrong.append(replace(right, state=ANTONYM[unrelated]))
    return right, wrong
