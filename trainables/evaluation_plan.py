"""Which sets a target is selected and reported on. No torch: the driver plans with it too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spaces.errors import DataError
from spaces.languages import resolve_languages
from spaces.study import Study, TargetSection
from spaces.tasks import Catalogue, Split, Task
from trainables.data import available, available_languages, is_labelled, resolve_paths


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """One evaluation set of a target."""

    language: str
    split: Split


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What a target is scored on.

    Attributes:
        select: The sets whose mean is the objective, scored at every rung.
        report: Further sets, scored at the full budget alone; the search never sees them.
    """

    select: tuple[EvaluationSet, ...]
    report: tuple[EvaluationSet, ...]


def plan_evaluation(
    study: Study, target: TargetSection, catalogue: Catalogue, data_root: Path | None
) -> EvaluationPlan:
    """Choose the sets a target is selected and reported on.

    With ``select_on: target_dev`` the objective is the mean over the dev sets of the languages
    other than the training language; with ``english_dev`` it is the training language's dev set.
    Where a release has no such set, the training language's dev set stands in, and for a task that
    has nothing but test sets (sentence retrieval), those: ``scores.selected_on`` tells.

    Raises:
        DataError: A language that was asked for, or every evaluation set, is missing.
    """
    task = catalogue[target.name]
    where = f"targets.{task.name}.languages"
    wanted: tuple[str, ...] = task.languages
    if target.languages:
        wanted = resolve_languages(target.languages, task.languages, where)
    languages: dict[Split, list[str]] = {}
    for split in ("dev", "test"):
        found = available_languages(task, split, data_root=data_root, catalogue=catalogue)
        languages[split] = [
            code
            for code in wanted
            if code in found and _is_labelled(task, split, code, data_root, catalogue)
        ]
    present = {*languages["dev"], *languages["test"]}
    # A language that was asked for by name must be there; of a group, whichever are.
    missing = [code for code in wanted if code in target.languages and code not in present]
    if missing:
        raise DataError(
            f"{where}: no labelled dev or test set of {', '.join(missing)} "
            f"under {data_root}. Put the files there, or take the language out of the study."
        )
    english = task.train_language
    dev = [EvaluationSet(code, "dev") for code in languages["dev"] if code != english]
    test = [EvaluationSet(code, "test") for code in languages["test"]]
    own = [EvaluationSet(english, "dev")]
    if not available(task, "dev", english, data_root=data_root, catalogue=catalogue):
        own = []
    select = (dev if study.select_on == "target_dev" else own) or own or test
    if not select:
        raise DataError(
            f"target {task.name!r}: no labelled dev or test set under {data_root}. "
            "See `taskorder tasks " + task.name + "` for the files it reads."
        )
    report = [chosen for chosen in (*own, *dev, *test) if chosen not in select]
    return EvaluationPlan(tuple(select), tuple(report))


def _is_labelled(
    task: Task, split: Split, language: str, data_root: Path | None, catalogue: Catalogue
) -> bool:
    """Whether a set can be scored: XTREME's own layout blanks the labels of its test files."""
    if not resolve_paths(task, split, language, data_root):
        return True  # Generated, or on the hub, whose releases are labelled.
    return is_labelled(task, split, language, data_root=data_root, catalogue=catalogue)
