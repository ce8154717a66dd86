"""Gold labels of records, in the form metrics take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spaces.errors import DataError
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
)


def gold_labels(records: Sequence[Record]) -> dict[str, Any]:
    """Return the golds by record id; candidates of retrieval have none.

    Raises:
        DataError: A record carries no label, as in a blanked test set, or is raw text.
    """
    golds: dict[str, Any] = {}
    for record in records:
        match record:
            case ClassificationRecord(label=gold) | ChoiceRecord(label=gold):
                value: Any = gold
            case TaggingRecord(tags=gold):
                value = gold
            case QuestionRecord(answers=answers):
                value = None if answers is None else tuple(answer.text for answer in answers)
            case RetrievalRecord(is_query=False):
                continue
            case RetrievalRecord(gold=gold):
                value = gold
            case _:
                value = None
        if value is None:
            raise DataError(
                f"record {record.id!r} has no label, so it cannot be scored. Evaluate on a "
                "labelled split, or put the labelled release where the task file looks for it."
            )
        golds[record.id] = value
    return golds
