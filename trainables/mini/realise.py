"""From an event to the words of a language, each with what the tasks ask about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trainables.mini.languages import BY_CODE, Slot
from trainables.mini.lexicon import grammar_word, name_part, noun_form, root, verb_form, with_case
from trainables.mini.world import COMPANY_WORDS, NUMBERS, SYNONYM, TOWN_WORDS, Event, Thing

Role = Literal["agent", "patient", "recipient", "place", "time", "state", ""]


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a sentence.

    Attributes:
        text: As written.
        pos: Part of speech.
        role: Role of the phrase it is part of, empty outside phrases and on particles.
        entity: IOB2 tag of the name it is part of.
        supertag: Its part in the structure: role of a noun, valency of a verb...
    """

    text: str
    pos: str
    role: Role = ""
    entity: str = "O"
    supertag: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """The ways of saying the same event.

    Attributes:
        passive: Whether what is acted on becomes the subject (where there is such a thing).
        synonyms: Whether words with a synonym are replaced by it.
        asked: Role whose phrase is replaced by a question word.
    """

    passive: bool = False
    synonyms: bool = False
    asked: Role = ""


PLAIN = Style()


def realise(code: str, event: Event, style: Style = PLAIN) -> tuple[Word, ...]:
    """Say an event in a language.

    Args:
        code: The language.
        event: What to say.
        style: How to say it.

    Returns:
        The words, the last one a full stop or a question mark.
    """
    language = BY_CODE[code]
    passive = style.passive and event.patient is not None and event.verb != "have"
    slots: dict[Slot, list[Word]] = {
        "subject": _phrase(code, event, "patient" if passive else "agent", "subject", style),
        "verb": _verb(code, event, style, passive=passive),
        "object": _phrase(code, event, "agent", "by", style) if passive else _object(
            code, event, style
        ),
        "recipient": _phrase(code, event, "recipient", "recipient", style),
        "place": _phrase(code, event, "place", "place", style),
        "time": _time(code, event, style),
    }  # fmt: skip
    words = [word for slot in language.order for word in slots[slot]]
    if style.asked and language.question_first:
        words.sort(key=lambda word: word.supertag != "WH")
    return (*words, Word("?" if style.asked else ".", "PUNCT", supertag="PUNCT"))


def text_of(words: Iterable[Word]) -> str:
    """Write words as text: spaces between them, none before punctuation."""
    return located(words)[0]


def located(words: Iterable[Word]) -> tuple[str, tuple[int, ...]]:
    """Write words as text and say where each starts, in characters."""
    text, starts = "", []
    for word in words:
        text += " " if text and word.pos != "PUNCT" else ""
        starts.append(len(text))
        text += word.text
    return text, tuple(starts)


def question_word(event: Event, role: Role) -> str:
    """Return the function of the word that asks for a role of the event."""
    if role in ("place", "time"):
        return "where" if role == "place" else "when"
    thing = thing_in(event, role)
    return "who" if thing is not None and thing.is_animate else "what"


def thing_in(event: Event, role: Role) -> Thing | None:
    """Return who or what plays a role in an event."""
    things = {
        "agent": event.agent, "patient": event.patient,
        "recipient": event.recipient, "place": event.place,
    }  # fmt: skip
    return things.get(role)


def _phrase(code: str, event: Event, role: Role, function: str, style: Style) -> list[Word]:
    thing = thing_in(event, role)
    if thing is None:
        return []
    language = BY_CODE[code]
    case = function if language.case == "suffix" and function != "subject" else ""
    if style.asked == role:
        asked = grammar_word(code, question_word(event, role))
        words = [
            Word(with_case(code, asked, "" if role == "place" else case), "PRON", supertag="WH")
        ]
        if role == "place":
            return words
    elif thing.name:
        words = _name(code, thing, role, case)
    else:
        words = _noun_phrase(code, thing, role, case, style)
    return _marked(code, words, role, function)


def _marked(code: str, words: list[Word], role: Role, function: str) -> list[Word]:
    """Put the adposition or particle of the phrase's function beside it."""
    language = BY_CODE[code]
    adposition = {"recipient": "to", "place": "in", "by": "by"}.get(function)
    if language.case == "suffix":
        return words
    if adposition is None:
        if language.case == "none":
            return words
        return [*words, Word(grammar_word(code, f"case:{function}"), "PART", supertag="CASE")]
    marker = Word(grammar_word(code, adposition), "ADP", supertag=f"PP.{role}")
    return [*words, marker] if language.postpositions else [marker, *words]


def _name(code: str, thing: Thing, role: Role, case: str) -> list[Word]:
    words = []
    for index, part in enumerate(thing.name):
        if part in COMPANY_WORDS + TOWN_WORDS:
            text = root(code, part).capitalize()
        else:
            text = name_part(code, part)
        if index == len(thing.name) - 1:
            text = with_case(code, text, case)
        tag = f"{'I' if index else 'B'}-{thing.name_kind}"
        words.append(Word(text, "PROPN", role, tag, f"NP.{role}"))
    return words


def _noun_phrase(code: str, thing: Thing, role: Role, case: str, style: Style) -> list[Word]:
    language = BY_CODE[code]
    words: list[Word] = []
    if thing.quantity in NUMBERS:
        words.append(Word(root(code, thing.quantity), "NUM", role, supertag="NP/N.number"))
    elif thing.quantity and language.articles:
        words.append(Word(_article(code, thing, style), "DET", role, supertag="NP/N"))
    noun = _said(thing.noun, style)
    form = noun_form(code, noun, plural=thing.is_plural, case=case)
    pair = [Word(form, "NOUN", role, supertag=f"N.{role}")]
    if thing.adjective:
        said = root(code, _said(thing.adjective, style))
        pair.insert(0, Word(said, "ADJ", role, supertag="N/N"))
    return words + (pair if language.adjective_first else pair[::-1])


def _article(code: str, thing: Thing, style: Style) -> str:
    following = _said(thing.adjective or thing.noun, style)
    if code == "en" and thing.quantity == "a" and following[0] in "aeio":
        return "an"
    return grammar_word(code, thing.quantity)


def _object(code: str, event: Event, style: Style) -> list[Word]:
    if event.state:
        word = root(code, _said(event.state, style))
        return [Word(word, "ADJ", "state", supertag="A.state")]
    return _phrase(code, event, "patient", "object", style)


def _verb(code: str, event: Event, style: Style, *, passive: bool) -> list[Word]:
    language = BY_CODE[code]
    subject = event.patient if passive else event.agent
    plural = subject is not None and subject.is_plural
    helpers = _helpers(code, event, plural=plural, passive=passive)
    if event.verb == "be":
        text = grammar_word(code, "be") if code != "en" else _be(event, plural=plural)
        verb = [Word(text, "AUX", supertag="V.be")]
    else:
        text = verb_form(
            code, _said(event.verb, style), tense=event.tense, plural=plural, passive=passive,
            negated=event.negated,
        )  # fmt: skip
        valency = 1 + (event.patient is not None) + (event.recipient is not None)
        verb = [Word(text, "VERB", supertag="V.passive" if passive else f"V.{valency}")]
    return verb + helpers if language.order[-1] == "verb" else helpers + verb


def _be(event: Event, *, plural: bool) -> str:
    return verb_form("en", "be", tense=event.tense, plural=plural, passive=False, negated=False)


def _helpers(code: str, event: Event, *, plural: bool, passive: bool) -> list[Word]:
    """Words of their own for tense, negation and passive."""
    never = Word(grammar_word(code, "never"), "ADV", supertag="NEG")
    negation = [never] * event.negated
    if code == "en":
        will = [_auxiliary("will")] * (event.tense == "future")
        be = [_auxiliary(_be(event, plural=plural))] * passive
        return will + negation + be if will else be + negation
    if BY_CODE[code].verb_marking == "word":
        tense = "will" if event.tense == "future" else event.tense
        mark = [_auxiliary(grammar_word(code, "passive"))] * passive
        return [_auxiliary(grammar_word(code, tense)), *negation, *mark]
    return negation if event.verb == "be" else []


def _auxiliary(text: str) -> Word:
    return Word(text, "AUX", supertag="AUX")


def _time(code: str, event: Event, style: Style) -> list[Word]:
    if event.time is None:
        return []
    if style.asked == "time":
        return [Word(grammar_word(code, "when"), "PRON", supertag="WH")]
    return [Word(root(code, event.time), "ADV", "time", supertag="S/S")]


def _said(concept: str, style: Style) -> str:
    return SYNONYM.get(concept, concept) if style.synonyms else concept
