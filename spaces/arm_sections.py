"""The study file's schema of arms: named sets of sequences that are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field, model_validator

from spaces.sequences import TASK_SEPARATOR
from spaces.stage_sections import Section

#: What may name an arm or a model: a word that a command line and a table can hold.
LABEL = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class ArmSection(Section):
    """Sequences that are run on every target, to the full budget, whatever they score.

    A list of sequences alone is short for ``{sequences: [...]}``.

    Attributes:
        sequences: Lists of stage names; the empty list is no intermediate task.
        models: Labels of the models it runs on; all of the study's when empty.
    """

    sequences: tuple[tuple[str, ...], ...] = Field(min_length=1)
    models: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _sequences_alone(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        for item in value:
            if isinstance(item, str):
                raise ValueError(
                    f"{item!r} is a name, where a sequence is a list of names: [[{item}]] is one "
                    f"sequence of one stage, and [[]] no intermediate task"
                )
        return {"sequences": value}


def check_labels(names: Iterable[str]) -> None:
    """Check that every name is a word that a table and ``--set`` can hold.

    Raises:
        ValueError: One is not.
    """
    for name in names:
        if not re.match(LABEL, name):
            raise ValueError(
                f"the name {name!r} should begin with a letter or digit and hold letters, digits, "
                "'_', '-' and '.' alone"
            )


def fill_in_arms(raw: dict[str, Any]) -> dict[str, Any]:
    """Complete a study file that runs nothing but arms (``search.num_trials: 0``).

    Baselines and the confirmation are off unless they are given; without ``intermediate.tasks``
    these are the arms' own names, and the longest sequence is the arms' longest.

    Args:
        raw: The file's content, not checked yet.
    """
    search = raw.get("search")
    if not raw.get("arms") or not isinstance(search, dict) or search.get("num_trials") != 0:
        return raw
    filled = {"baselines": False, "confirm": {"top": 0}, **search}
    raw = {**raw, "search": filled}
    intermediate = raw.get("intermediate") or {}
    sequences = list(_sequences(raw["arms"]))
    stages = [stage for sequence in sequences for stage in sequence]
    names = list(dict.fromkeys(part for stage in stages for part in stage.split(TASK_SEPARATOR)))
    if names and isinstance(intermediate, dict) and "tasks" not in intermediate:
        longest = min(max(map(len, sequences)), len(names))
        raw["intermediate"] = {"tasks": names, "max_length": longest, **intermediate}
    return raw


def _sequences(arms: Any) -> Iterator[list[str]]:
    """Yield the stages of each sequence, as far as it is one."""
    for arm in arms.values() if isinstance(arms, dict) else ():
        sequences = arm.get("sequences") if isinstance(arm, dict) else arm
        for sequence in sequences if isinstance(sequences, list | tuple) else ():
            if isinstance(sequence, list | tuple) and all(isinstance(n, str) for n in sequence):
                yield list(sequence)
