"""Rows of a data set on the Hugging Face hub as records: one converter for each format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from trainables.readers.base import ReadContext, check_label, malformed, shorten
from trainables.readers.choices import choice_converter
from trainables.readers.fields import Row
from trainables.readers.pairs import NO_GOLD, classification_record
from trainables.readers.squad import MISPLACED, check_answers
from trainables.records import Answer, QuestionRecord, Record, RetrievalRecord, TaggingRecord

#: From a row, its context and its number from 0 to its records; none where it is left out.
RowConverter = Callable[[Row, ReadContext, int], list[Record]]


def _is_blank(row: Row, name: str) -> bool:
    return row.values.get(name) in (None, "", -1, "-1")


def _pairs(row: Row, context: ReadContext, index: int) -> list[Record]:
    if _is_blank(row, context.option("label", "label")):
        # A test split without labels keeps its rows; elsewhere these are SNLI's undecided examples.
        if context.split != "test":
            context.skip(NO_GOLD)
            return []
        context = replace(context, labelled=False)
    record = classification_record(row, context, index)
    if record is None:
        context.skip(NO_GOLD)
        return []
    return [record]


def _tagging(row: Row, context: ReadContext, index: int) -> list[Record]:
    tokens = row.texts(context.option("tokens", "tokens"))
    column = context.option("tags", "tags")
    names: list[str] = context.option("names", [])
    raw = [_tag_name(tag, names, row, column) for tag in row.members(column)]
    tags = tuple(check_label(tag, context, row.path, row.place) for tag in raw)
    if len(tags) != len(tokens):
        raise malformed(row.path, row.place, f"{len(tags)} tags", f"{len(tokens)}")
    return [TaggingRecord(str(index), tokens, tags)]


def _tag_name(tag: Any, names: list[str], row: Row, column: str) -> str:
    if isinstance(tag, str):
        return tag
    if not names and isinstance(tag, int):
        return str(tag)
    if isinstance(tag, bool) or not isinstance(tag, int) or not 0 <= tag < len(names):
        expected = f"a tag or a number below {len(names)}"
        raise malformed(row.path, row.place, f"{column} holds {shorten(tag)}", expected)
    return names[tag]


def _squad(row: Row, context: ReadContext, index: int) -> list[Record]:
    passage, columns = row.text("context"), row.row("answers")
    texts, starts = columns.texts("text"), columns.integers("answer_start")
    if len(texts) != len(starts):
        raise malformed(row.path, row.place, f"{len(starts)} positions", f"{len(texts)}")
    listed = [Answer(text, start) for text, start in zip(texts, starts, strict=True)]
    impossible = not listed and context.option("unanswerable", False)
    answers = check_answers(listed, passage, row, context, impossible)
    if answers is None:
        context.skip(MISPLACED)
        return []
    return [QuestionRecord(row.text("id"), row.text("question"), passage, answers)]


def _aligned(row: Row, context: ReadContext, index: int) -> list[Record]:
    source = row.text(context.option("text", "source_sentence"))
    english = row.text(context.option("candidate", "target_sentence"))
    return [
        RetrievalRecord(f"q{index}", source, True, (f"c{index}",)),
        RetrievalRecord(f"c{index}", english, False, ()),
    ]


def _choices(row: Row, context: ReadContext, index: int) -> list[Record]:
    columns = [name for name in ("label", "answerKey") if name in row.values]
    if columns and all(_is_blank(row, name) for name in columns):
        context = replace(context, labelled=False)
    return [choice_converter(context)(row, context, index)]


ROW_CONVERTERS: dict[str, RowConverter] = {
    "pairs": _pairs,
    "tagging": _tagging,
    "squad": _squad,
    "aligned_text": _aligned,
    "choices": _choices,
}
