"""Extractive question answering in the JSON layout of SQuAD.

It serves SQuAD 1.1 and 2.0, XQuAD, MLQA and the gold passages of TyDi QA alike. A whole document is
one JSON value, so errors name the place inside it (``data[3].paragraphs[0].qas[2]``), not a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.fields import Row
from trainables.readers.lines import read_document
from trainables.records import Answer, QuestionRecord


def read_squad(context: ReadContext) -> Iterator[QuestionRecord]:
    """Read the questions in document order.

    A question with ``is_impossible`` has no answers. XTREME blanks test answers by an empty text at
    position 0: such a question is unlabelled.

    Options: ``id_prefix`` (only questions whose id begins so, as TyDi QA names the language).

    Raises:
        DataError: Not JSON, a missing field, an answer that is not at its place in the context, or
            a question without answers that is not marked as impossible.
    """
    context.check_options("id_prefix")
    path = context.path
    prefix = context.option("id_prefix", "")
    document = read_document(path)
    if not isinstance(document, dict):
        raise malformed(path, "the top level", shorten(document), 'an object with "data"')
    for article in Row(document, path, "").rows("data"):
        for paragraph in article.rows("paragraphs"):
            passage = paragraph.text("context")
            for question in paragraph.rows("qas"):
                identifier = question.text("id")
                if not identifier.startswith(prefix):
                    continue
                yield QuestionRecord(
                    identifier,
                    question.text("question"),
                    passage,
                    _answers(question, passage) if context.labelled else None,
                )


def _answers(question: Row, passage: str) -> tuple[Answer, ...] | None:
    impossible = question.values.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise malformed(question.path, question.place, f"is_impossible = {impossible!r}", "a truth")
    if impossible:
        return ()
    found = [
        Answer(answer.text("text"), answer.integer("answer_start"))
        for answer in question.rows("answers")
    ]
    if found and all(answer == Answer("", 0) for answer in found):
        return None
    if not found and "is_impossible" not in question.values:
        raise malformed(question.path, question.place, "no answers", "at least one")
    for answer in found:
        check_answer(answer, passage, question)
    return tuple(found)


def check_answer(answer: Answer, passage: str, place: Row) -> None:
    """Check that an answer stands where it says.

    Raises:
        DataError: It does not.
    """
    end = answer.start + len(answer.text)
    there = passage[answer.start : end] if answer.start >= 0 else ""
    if not answer.text or there != answer.text:
        found = f"{shorten(there)} at character {answer.start} of the context"
        raise malformed(place.path, place.place, found, f"the answer {shorten(answer.text)}")
