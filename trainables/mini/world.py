"""The world all languages speak of: things, their names, and events between them.

Everything here is meaning without words: concepts are named by an English lemma, and an event says
who did what to whom, where, when and whether at all. ``trainables.mini.realise`` puts it in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainables.mini.chance import Chance

Kind = Literal["worker", "animal", "vehicle", "snack", "tool", "site"]
Tense = Literal["past", "present", "future"]
NameKind = Literal["PER", "ORG", "LOC"]

MEMBERS: dict[Kind, tuple[str, ...]] = {
    "worker": ("baker", "teacher", "doctor", "farmer", "sailor"),
    "animal": ("dog", "horse", "bird"),
    "vehicle": ("cart", "boat"),
    "snack": ("apple", "cake"),
    "tool": ("hammer", "ladder"),
    "site": ("garden", "market", "forest", "harbor"),
}
KIND_OF: dict[str, Kind] = {noun: kind for kind, nouns in MEMBERS.items() for noun in nouns}
ANIMATE: tuple[str, ...] = MEMBERS["worker"] + MEMBERS["animal"]
OBJECTS: tuple[str, ...] = MEMBERS["vehicle"] + MEMBERS["snack"] + MEMBERS["tool"]

ANTONYM = {"big": "small", "clean": "dirty", "happy": "sad", "strong": "tired"}
ANTONYM |= {second: first for first, second in ANTONYM.items()}
ADJECTIVES: tuple[str, ...] = tuple(ANTONYM)

INTRANSITIVE = ("laugh", "wait", "work")
SOCIAL = ("help", "follow", "thank")
MANUAL = ("push", "wash", "want")
GIVING = ("hand", "show", "mail")
VERBS: tuple[str, ...] = INTRANSITIVE + SOCIAL + MANUAL + GIVING
ALIKE: dict[str, tuple[str, ...]] = {
    verb: group for group in (INTRANSITIVE, SOCIAL, MANUAL, GIVING) for verb in group
}

SYNONYM = {
    "push": "shove", "help": "assist", "mail": "post", "big": "large", "happy": "glad",
    "boat": "ship", "forest": "wood",
}  # fmt: skip

TIMES: dict[str, Tense] = {
    "yesterday": "past", "recently": "past", "today": "present", "often": "present",
    "tomorrow": "future", "soon": "future",
}  # fmt: skip
ARTICLES = ("the", "a")
NUMBERS = ("two", "three", "many")

GIVEN = ("Anna", "Boris", "Clara", "David", "Elena", "Felix")
# A family name alone is a person, in a place it is a town, before a company word a company: which
# it is has to be read from the sentence.
FAMILY = ("Berg", "Lund", "Moran", "Kaspar", "Ritter", "Solano")
TOWNS = ("Oslo", "Lima", "Riga", "Turin")
COMPANIES = ("Nordex", "Ferrum")
COMPANY_WORDS = ("bank", "museum", "press")
TOWN_WORDS = ("port", "new")

# What follows from an event: the thing that changes, and its state afterwards.
OUTCOME: dict[str, tuple[Literal["agent", "patient"], str]] = {
    "laugh": ("agent", "happy"), "work": ("agent", "tired"), "help": ("patient", "happy"),
    "thank": ("patient", "happy"), "wash": ("patient", "clean"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thing:
    """What a noun phrase stands for.

    Attributes:
        noun: Concept of a common noun; empty for a name.
        quantity: Article or number; empty for a name.
        adjective: Property, or None.
        name: The parts of a name.
        name_kind: Sort of name; None for a common noun.
    """

    noun: str = ""
    quantity: str = ""
    adjective: str | None = None
    name: tuple[str, ...] = ()
    name_kind: NameKind | None = None

    @property
    def is_plural(self) -> bool:
        """Whether it stands for several."""
        return self.quantity in NUMBERS

    @property
    def is_animate(self) -> bool:
        """Whether it is asked for with "who"."""
        return self.name_kind in ("PER", "ORG") or self.noun in (*ANIMATE, "worker", "animal")


@dataclass(frozen=True, slots=True)
class Event:
    """Who did what to whom, where and when; or, with the verb "be", in which state someone is."""

    verb: str
    tense: Tense
    agent: Thing
    patient: Thing | None = None
    recipient: Thing | None = None
    place: Thing | None = None
    time: str | None = None
    state: str | None = None
    negated: bool = False


def draw_name(chance: Chance, kind: NameKind) -> Thing:
    """Draw a name of one kind."""
    if kind == "PER":
        first, last = chance.pick(GIVEN), chance.pick(FAMILY)
        parts = chance.pick([(first,), (last,), (first, last)])
    elif kind == "ORG":
        if chance.below(0.3):
            parts = (chance.pick(COMPANIES),)
        else:
            parts = (chance.pick(FAMILY + TOWNS), chance.pick(COMPANY_WORDS))
    else:
        town = chance.pick(TOWNS + FAMILY)
        parts = (chance.pick(TOWN_WORDS), town) if chance.below(0.25) else (town,)
    return Thing(name=parts, name_kind=kind)


def draw_common(chance: Chance, nouns: tuple[str, ...], *, bare: bool = False) -> Thing:
    """Draw a common noun with its quantity and, now and then, a property."""
    quantity = chance.pick(NUMBERS) if not bare and chance.below(0.3) else chance.pick(ARTICLES)
    adjective = chance.pick(ADJECTIVES) if chance.below(0.35) else None
    return Thing(chance.pick(nouns), quantity, adjective)


def draw_animate(chance: Chance, *, names: float = 0.5) -> Thing:
    """Draw someone who can act: a person or company by name, a worker or an animal."""
    if chance.below(names):
        return draw_name(chance, "ORG" if chance.below(0.3) else "PER")
    return draw_common(chance, ANIMATE)


def draw_place(chance: Chance) -> Thing:
    """Draw a town by name, or a site."""
    if chance.below(0.5):
        return draw_name(chance, "LOC")
    return draw_common(chance, MEMBERS["site"], bare=True)


def draw_event(
    chance: Chance,
    *,
    verbs: tuple[str, ...] = VERBS,
    negation: float = 0.15,
    place: float = 0.35,
    time: float = 0.3,
) -> Event:
    """Draw an event.

    Args:
        chance: Where the choices come from.
        verbs: Verbs to choose from.
        negation: Probability that it is said not to happen.
        place: Probability that its place is given.
        time: Probability that its time is given.
    """
    verb = chance.pick(verbs)
    when = chance.pick(tuple(TIMES))
    agent = draw_animate(chance)
    patient = recipient = None
    if verb in SOCIAL:
        patient = _someone_else(chance, agent)
    elif verb in MANUAL + GIVING:
        patient = draw_common(chance, OBJECTS)
    if verb in GIVING:
        recipient = _someone_else(chance, agent)
    return Event(
        verb=verb,
        tense=TIMES[when],
        agent=agent,
        patient=patient,
        recipient=recipient,
        place=draw_place(chance) if chance.below(place) else None,
        time=when if chance.below(time) else None,
        negated=chance.below(negation),
    )


def _someone_else(chance: Chance, taken: Thing) -> Thing:
    """Draw who is not called like ``taken``, so that a text never says the same of two."""
    while True:
        thing = draw_animate(chance)
        if (thing.noun, thing.name) != (taken.noun, taken.name):
            return thing
