"""Research questions that a run answers: the study's key ``question`` names one of them.

Each is a function from a run to an ``Answer``; docs/reproduce.md describes the studies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from analysis.frames import Run
from analysis.questions.answer import NOT_DECIDED, Answer, Finding
from analysis.questions.low_resource import low_resource_mlm
from analysis.questions.model_size import model_size
from analysis.questions.morphology import morphology
from analysis.questions.multilingual import multilingual_tydiqa
from analysis.questions.stilts import stilts
from analysis.questions.task_order import task_order
from spaces.errors import UnknownNameError

__all__ = ["NOT_DECIDED", "QUESTIONS", "Answer", "Finding", "answer_question"]

#: The questions by their names in a study file.
QUESTIONS: Mapping[str, Callable[[Run], Answer]] = {
    "task-order": task_order,
    "morphology": morphology,
    "multilingual-tydiqa": multilingual_tydiqa,
    "low-resource-mlm": low_resource_mlm,
    "model-size": model_size,
    "stilts": stilts,
}


def answer_question(run: Run, name: str | None = None) -> Answer | None:
    """Answer a research question from a run's frames.

    Args:
        run: The run, finished or not.
        name: A key of ``QUESTIONS``; the study's own ``question`` when ``None``.

    Returns:
        The answer; ``None`` where the study asks no question.

    Raises:
        UnknownNameError: There is no such question.
    """
    chosen = name if name is not None else run.study.get("question")
    if not chosen:
        return None
    if chosen not in QUESTIONS:
        raise UnknownNameError("question", str(chosen), QUESTIONS)
    return QUESTIONS[str(chosen)](run)
