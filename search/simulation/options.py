"""Reads what the command line says about costs."""

from __future__ import annotations

from collections.abc import Iterable

from spaces.errors import InputError, UnknownNameError
from spaces.study import Study


def task_seconds(pairs: Iterable[str], study: Study) -> dict[str, float]:
    """Read ``TASK=SECONDS`` pairs: seconds of a step of single tasks.

    Args:
        pairs: For example ``mnli=0.8``.
        study: The study; its tasks and targets may be named.

    Raises:
        InputError: Not of that form, or not a number.
        UnknownNameError: No task or target of the study.
    """
    known = (*study.intermediate.tasks, *(target.name for target in study.targets))
    found = {}
    for pair in pairs:
        task, _, seconds = pair.partition("=")
        if task not in known:
            raise UnknownNameError("task", task, known, f"--task-step-s {pair}")
        try:
            found[task] = float(seconds)
        except ValueError:
            raise InputError(
                f"--task-step-s {pair}: write TASK=SECONDS, for example {task}=0.8."
            ) from None
    return found
