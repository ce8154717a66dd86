"""Mewsli-X: find the entity that a mention in a news text refers to, among a million descriptions.

A mention is a passage with the place of a name in it and the Wikidata id of what it names; an
entity is the beginning of its Wikipedia article, in any of 50 languages. Both say where their
sentences are. What becomes model input follows the release's own baseline: a mention is the name,
a colon, and its sentence with the name between braces; an entity is its description.

Source: Ruder et al. 2021 (XTREME-R), arXiv:2104.07412; the release's ``schema.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.fields import Row
from trainables.readers.lines import read_objects
from trainables.records import RetrievalRecord

_BRACES = re.compile(r"\{(.*?)\}")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, from ``start`` up to ``end`` in characters."""

    start: int
    end: int


def read_mewslix(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read the mentions of the first file, then the candidate entities of the second.

    A mention whose entity is blanked (XTREME-R's test sets) is unlabelled.

    Options: ``mixed`` (true where the first file holds all languages, as it does before XTREME-R's
    script has split it).

    Raises:
        DataError: Not one object of the release's layout on each line, a mention in another
            language, a span outside its text, an entity twice, or one that is mentioned and no
            candidate.
    """
    context.check_options("mixed")
    if len(context.paths) != 2:
        raise malformed(
            context.paths[0], 1, f"{len(context.paths)} files", "mentions and candidates"
        )
    mentions, entities = context.paths
    awaited: dict[str, int] = {}
    for number, values in read_objects(mentions):
        row = Row(values, mentions, number)
        passage = row.row("context")
        language = passage.text("language")
        if language != context.language:
            if context.option("mixed", False):
                continue
            found = f"a text in {shorten(language)}"
            raise malformed(mentions, number, found, f"one in {context.language!r}")
        for mention in row.rows("mentions"):
            query = _query(passage, mention, context)
            for entity in query.gold or ():
                awaited.setdefault(entity, number)
            yield query
    seen: set[str] = set()
    for number, values in read_objects(entities):
        candidate = _candidate(Row(values, entities, number))
        if candidate.id in seen:
            raise malformed(entities, number, f"the entity {candidate.id} again", "each once")
        seen.add(candidate.id)
        awaited.pop(candidate.id, None)
        yield candidate
    for entity, number in awaited.items():
        found = f"a mention of {shorten(entity)}"
        raise malformed(mentions, number, found, f"an entity of {entities.name}")


def read_mewslix_pairs(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read pairs of a mention and its entity, which follows its first mention.

    Raises:
        DataError: Not one object of the release's layout on each line, a span outside its text, or
            a mention of another entity than the one beside it.
    """
    context.check_options()
    path = context.path
    seen: set[str] = set()
    for number, values in read_objects(path):
        row = Row(values, path, number)
        both, entity = row.row("contextual_mention"), row.row("entity")
        query, candidate = (
            _query(both.row("context"), both.row("mention"), context),
            _candidate(entity),
        )
        if query.gold is not None and query.gold != (candidate.id,):
            found = f"a mention of {shorten(query.gold[0])} beside {shorten(candidate.id)}"
            raise malformed(path, number, found, "the entity that is mentioned")
        yield query
        if candidate.id not in seen:
            seen.add(candidate.id)
            yield candidate


def _query(passage: Row, mention: Row, context: ReadContext) -> RetrievalRecord:
    text = passage.text("text")
    place = mention.row("mention_span")
    span = _span(place, text)
    name = text[span.start : span.end]
    if place.text("text") != name:
        expected = f"{shorten(place.text('text'))} at character {span.start}"
        raise malformed(place.path, place.place, shorten(name), expected)
    sentence = next(
        (s for s in _sentences(passage, text) if s.start <= span.start and span.end <= s.end), None
    )
    if sentence is None:
        found = f"a mention at character {span.start}"
        raise malformed(place.path, place.place, found, "one inside a sentence")
    left, right = text[sentence.start : span.start], text[span.end : sentence.end]
    # Braces of the text itself become parentheses, so that those around the name stand out.
    left, right = _BRACES.sub(r"(\1)", left), _BRACES.sub(r"(\1)", right)
    entity = mention.text("entity_id").strip()
    gold = (entity,) if entity and context.labelled else None
    query = _one_line(f"{name}: {left} {{ {name} }} {right}")
    return RetrievalRecord(mention.text("example_id"), query, True, gold)


def _candidate(entity: Row) -> RetrievalRecord:
    text = entity.text("description")
    sentences = " ".join(text[s.start : s.end] for s in _sentences(entity, text))
    return RetrievalRecord(entity.text("entity_id"), _one_line(sentences), False, ())


def _sentences(row: Row, text: str) -> list[Span]:
    return [_span(place, text) for place in row.rows("sentence_spans")]


def _span(place: Row, text: str) -> Span:
    span = Span(place.integer("start"), place.integer("end"))
    if not 0 <= span.start < span.end <= len(text):
        found = f"the span {span.start} to {span.end}"
        raise malformed(place.path, place.place, found, f"one inside the {len(text)} characters")
    return span


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()
