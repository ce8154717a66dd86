"""Extractive question answering in the JSON layout of SQuAD.

It serves SQuAD 1.1 and 2.0, XQuAD, MLQA and the gold passages of TyDi QA alike. A whole document is
one JSON value, so errors name the place inside it (``data[3].paragraphs[0].qas[2]``), not a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from spaces.errors import UnknownNameError
from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.fields import Row
from trainables.readers.lines import read_document
from trainables.records import Answer, QuestionRecord

MISPLACED = "an answer is not where the file says"
BLANKED = Answer("", 0)


def read_squad(context: ReadContext) -> Iterator[QuestionRecord]:
    """Read the questions in document order.

    XTREME blanks test answers by an empty text at position 0: such a question is unlabelled.

    Options: ``version`` (how the document's ``version`` begins, if it has one, so that the file of
    another data set is noticed), ``id_prefix`` (only questions whose id begins so, as TyDi QA names
    the language), ``unanswerable`` (true for SQuAD 2.0, where every question says ``is_impossible``
    or not and an impossible one has no answers; false where all have some, so that a file of the
    other version is an error), ``misplaced`` (``skip`` leaves out, and counts, questions with an
    answer that is not at its place, as machine translations hold some; ``error`` by default).

    Raises:
        DataError: Not JSON, a missing field, an answer that is not at its place in the context, or
            a question without answers where all have some.
    """
    context.check_options("version", "id_prefix", "unanswerable", "misplaced")
    prefix = context.option("id_prefix", "")
    for paragraph in read_paragraphs(context.path, context.option("version", "")):
        passage = paragraph.text("context")
        for question in paragraph.rows("qas"):
            identifier = question.text("id")
            if not identifier.startswith(prefix):
                continue
            answers = None
            if context.labelled:
                listed = [read_answer(answer) for answer in question.rows("answers")]
                if not listed or any(answer != BLANKED for answer in listed):
                    impossible = _is_impossible(question, context)
                    answers = check_answers(listed, passage, question, context, impossible)
                    if answers is None:
                        context.skip(MISPLACED)
                        continue
            yield QuestionRecord(identifier, question.text("question"), passage, answers)


def read_paragraphs(path: Path, version: str = "") -> Iterator[Row]:
    """Yield the paragraphs of a document in SQuAD's layout, each knowing its place in it.

    Args:
        path: The file.
        version: How its ``version`` begins, if it has one.

    Raises:
        DataError: Not JSON, not in that layout, or of another version.
    """
    document = read_document(path)
    if not isinstance(document, dict):
        raise malformed(path, "the top level", shorten(document), 'an object with "data"')
    found = document.get("version")
    if isinstance(found, str) and not found.startswith(version):
        raise malformed(path, "version", shorten(found), f"one that begins with {version!r}")
    for article in Row(document, path, "").rows("data"):
        yield from article.rows("paragraphs")


def read_answer(row: Row) -> Answer:
    """Read one of a question's answers.

    Raises:
        DataError: A missing field or one of the wrong type.
    """
    return Answer(row.text("text"), row.integer("answer_start"))


def check_answers(
    answers: Sequence[Answer],
    passage: str,
    question: Row,
    context: ReadContext,
    impossible: bool,
) -> tuple[Answer, ...] | None:
    """Check that a question's answers stand where they say.

    Args:
        answers: The answers as the file lists them.
        passage: The context they belong to.
        question: The question, for its place in messages.
        context: Holds the option ``misplaced``.
        impossible: Whether the question is marked as unanswerable.

    Returns:
        The answers; none for an unanswerable question. ``None`` where one is misplaced and the
        release is known to hold such questions.

    Raises:
        DataError: A misplaced answer otherwise, or no answer to an answerable question.
    """
    if impossible:
        return ()
    if not answers:
        raise malformed(question.path, question.place, "no answers", "at least one")
    misplaced = context.option("misplaced", "error")
    if misplaced not in ("error", "skip"):
        raise UnknownNameError("misplaced option", misplaced, ("error", "skip"))
    for answer in answers:
        end = answer.start + len(answer.text)
        there = passage[answer.start : end] if answer.start >= 0 else ""
        if not answer.text or there != answer.text:
            if misplaced == "skip":
                return None
            found = f"{shorten(there)} at character {answer.start} of the context"
            raise malformed(
                question.path, question.place, found, f"the answer {shorten(answer.text)}"
            )
    return tuple(answers)


def _is_impossible(question: Row, context: ReadContext) -> bool:
    expected = context.option("unanswerable", False)
    if "is_impossible" not in question.values:
        if expected:
            found = "no field 'is_impossible'"
            raise malformed(question.path, question.place, found, "one, as SQuAD 2.0 has")
        return False
    value = question.values["is_impossible"]
    if not isinstance(value, bool):
        found = f"is_impossible = {shorten(value)}"
        raise malformed(question.path, question.place, found, "true or false")
    if value and not expected:
        found = "an unanswerable question, as SQuAD 2.0 has"
        raise malformed(question.path, question.place, found, "an answer to every question")
    return value
