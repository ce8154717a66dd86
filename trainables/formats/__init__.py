"""Formats by name: how a record becomes model input, head, loss and prediction."""

from __future__ import annotations

from typing import Any

from trainables.formats.multiple_choice import MultipleChoice
from trainables.formats.question_answering import QuestionAnswering
from trainables.formats.retrieval import Retrieval
from trainables.formats.sequence_classification import SequenceClassification
from trainables.formats.token_classification import TokenClassification

#: Every format a task may have, except ``masked_lm``, which scratch models alone use so far.
FORMATS: dict[str, Any] = {
    "sequence_classification": SequenceClassification(),
    "token_classification": TokenClassification(),
    "question_answering": QuestionAnswering(),
    "multiple_choice": MultipleChoice(),
    "retrieval": Retrieval(),
}
