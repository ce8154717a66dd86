"""Records: what a reader yields, one class per format. Plain data, no torch.

Texts are as in the file, without trimming unless the release says otherwise. ``id`` is unique
within a split and language. A label of ``None`` means the release holds none (blanked test sets).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassificationRecord:
    """One text, or a pair of texts, and its label's name."""

    id: str
    text: str
    text_pair: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class TaggingRecord:
    """One sentence: its tokens and, aligned with them, its tags."""

    id: str
    tokens: tuple[str, ...]
    tags: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and where it starts in the context, in characters."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question on a context. No answers means unanswerable, ``None`` means unlabelled."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] | None


@dataclass(frozen=True, slots=True)
class ChoiceRecord:
    """A context (with an optional question) and its candidate continuations."""

    id: str
    context: str
    question: str
    choices: tuple[str, ...]
    label: int | None


@dataclass(frozen=True, slots=True)
class RetrievalRecord:
    """A sentence of the query side or of the candidate side.

    ``gold`` lists, for a query, the ids of its right candidates; ``None`` when unlabelled and
    always empty for a candidate.
    """

    id: str
    text: str
    is_query: bool
    gold: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A piece of raw text for masked-language-model training."""

    id: str
    text: str


Record = (
    ClassificationRecord
    | TaggingRecord
    | QuestionRecord
    | ChoiceRecord
    | RetrievalRecord
    | TextRecord
)
