"""Formats by name: how a record becomes model input, head, loss and prediction."""

from __future__ import annotations

from typing import Any

from trainables.formats.base import TaskFormat
from trainables.formats.masked_lm import MaskedLM
from trainables.formats.multiple_choice import MultipleChoice
from trainables.formats.question_answering import QuestionAnswering
from trainables.formats.retrieval import Retrieval
from trainables.formats.sequence_classification import SequenceClassification
from trainables.formats.token_classification import TokenClassification

#: Every format a task may have.
FORMATS: dict[str, TaskFormat[Any, Any]] = {
    "sequence_classification": SequenceClassification(),
    "token_classification": TokenClassification(),
    "question_answering": QuestionAnswering(),
    "multiple_choice": MultipleChoice(),
    "retrieval": Retrieval(),
    "masked_lm": MaskedLM(),
}
