"""What the stages of a run train on, read from its study: which tasks, in which languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.frames import Run
from analysis.observations import stages_of
from spaces.errors import InputError
from spaces.languages import resolve_languages
from spaces.sequences import STAGE_SEPARATOR, TASK_SEPARATOR
from spaces.tasks import Catalogue, load_catalogue

ENGLISH = "en"
_TEXT = "masked_lm"


@dataclass(frozen=True, slots=True)
class Role:
    """What one stage trains on.

    Attributes:
        tasks: Names of its tasks; those of a masked-language-model term apart.
        languages: Of its tasks' training sets.
        is_text: Whether it is masked-language-model training alone.
        text_languages: Languages of its raw text, alone or mixed in.
    """

    tasks: frozenset[str]
    languages: frozenset[str]
    is_text: bool = False
    text_languages: frozenset[str] = frozenset()

    @property
    def is_english(self) -> bool:
        """Whether it trains on labelled English alone."""
        return not self.is_text and self.languages == {ENGLISH}


class Roles:
    """The roles of a study's stages.

    Args:
        study: The resolved study of a run, as plain data.
    """

    def __init__(self, study: Mapping[str, Any]) -> None:
        self._study = study
        section = study.get("intermediate") or {}
        self._stages: Mapping[str, Any] = section.get("stages") or {}
        self._known: dict[str, Role] = {}

    @cached_property
    def _catalogue(self) -> Catalogue:
        folders = tuple(self._study.get("task_folders") or ())
        try:
            return load_catalogue(folders)
        except (InputError, OSError):
            # A report may be made where the run's own task files are not.
            return load_catalogue(())

    def of(self, stage: str) -> Role:
        """Return what a stage trains on.

        Args:
            stage: Its name in a sequence: a task, a named stage, ``task@languages#size``, or
                several of these joined by ``+``.
        """
        if stage not in self._known:
            self._known[stage] = self._role(stage)
        return self._known[stage]

    def of_sequence(self, sequence: str) -> tuple[Role, ...]:
        """Return what each stage of a sequence trains on."""
        return tuple(self.of(stage) for stage in stages_of(sequence))

    def without(self, sequence: str, drop: Callable[[Role], bool]) -> str:
        """Return a sequence without some of its stages.

        Args:
            sequence: The sequence.
            drop: Whether a stage is left out.
        """
        kept = [stage for stage in stages_of(sequence) if not drop(self.of(stage))]
        return STAGE_SEPARATOR.join(kept)

    def _role(self, stage: str) -> Role:
        tasks: set[str] = set()
        languages: set[str] = set()
        text: set[str] = set()
        for task, given in self._streams(stage):
            found = set(self._languages(task, given))
            if self._is_text(task):
                text |= found
            else:
                tasks.add(task)
                languages |= found
        return Role(frozenset(tasks), frozenset(languages), not tasks, frozenset(text))

    def _streams(self, stage: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return task and languages of every stream, the raw text that is mixed in included."""
        found = []
        for part in stage.split(TASK_SEPARATOR):
            named = self._stages.get(part)
            if named is None:
                task, _, rest = part.partition("#")[0].partition("@")
                found.append((task, tuple(code for code in rest.split(",") if code)))
                continue
            entries = [*(named.get("tasks") or ())]
            if "task" in named:
                entries.append(named)
            entries += (named.get("mlm") or {}).get("tasks") or ()
            for entry in entries:
                if isinstance(entry, str):
                    found.append((entry, ()))
                else:
                    found.append((entry["task"], tuple(entry.get("languages") or ())))
        return found

    def _is_text(self, task: str) -> bool:
        return task in self._catalogue and self._catalogue[task].format == _TEXT

    def _languages(self, task: str, given: tuple[str, ...]) -> tuple[str, ...]:
        if task not in self._catalogue:
            return given or (ENGLISH,)
        known = self._catalogue[task]
        if not given:
            return (known.train_language,)
        among = tuple(dict.fromkeys((known.train_language, *known.languages)))
        return resolve_languages(given, among, task)


def arms_of(run: Run) -> dict[str, str]:
    """Return the arm of each sequence that is in one."""
    if "arm" not in run.trials:
        return {}
    named = run.trials[run.trials["arm"] != ""]
    return dict(zip(named["sequence"], named["arm"], strict=True))
