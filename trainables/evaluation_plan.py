"""Which sets a target is selected and reported on. No torch: the driver plans with it too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spaces.errors import DataError
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
        predict: Test sets whose predictions are written at the full budget, blank ones included;
            none unless the study asks for predictions.
    """

    select: tuple[EvaluationSet, ...]
    report: tuple[EvaluationSet, ...]
    predict: tuple[EvaluationSet, ...] = ()

    @property
    def selection(self) -> EvaluationPlan:
        """The plan of a rung below the full budget."""
        return EvaluationPlan(self.select, ())


def plan_evaluation(
    study: Study, target: TargetSection, catalogue: Catalogue, data_root: Path | None
) -> EvaluationPlan:
    """Choose the sets a target is selected and reported on.

    With ``select_on: target_dev`` the objective is the mean over the dev sets of the languages
    other than the training language; with ``english_dev`` it is the training language's dev set.
    Where a release lacks the one, the other stands in, and for a task that has nothing but test
    sets (sentence retrieval), those: ``scores.selected_on`` tells.

    Raises:
        DataError: A language that was asked for, or every evaluation set, is missing.
    """
    task = catalogue[target.name]
    where = f"targets.{task.name}.languages"
    wanted: tuple[str, ...] = task.languages
    if target.languages:
        wanted = task.select_languages(target.languages, where)
    found: dict[Split, list[EvaluationSet]] = {}
    for split in ("dev", "test"):
        there = available_languages(task, split, data_root=data_root, catalogue=catalogue)
        found[split] = [EvaluationSet(code, split) for code in wanted if code in there]

    def labelled(sets: list[EvaluationSet]) -> list[EvaluationSet]:
        return [chosen for chosen in sets if _is_labelled(task, chosen, data_root, catalogue)]

    test = labelled(found["test"])
    english = EvaluationSet(task.train_language, "dev")
    dev = labelled([chosen for chosen in found["dev"] if chosen != english])
    own = []
    if available(task, "dev", english.language, data_root=data_root, catalogue=catalogue):
        own = labelled([english])
    _check_languages(target, wanted, [*own, *dev, *test], where, data_root)
    order = (dev, own, test) if study.select_on == "target_dev" else (own, dev, test)
    select = next((sets for sets in order if sets), [])
    if not select:
        raise DataError(
            f"target {task.name!r}: no labelled dev or test set under {data_root}. "
            "See `taskorder tasks " + task.name + "` for the files it reads."
        )
    report = [chosen for chosen in (*own, *dev, *test) if chosen not in select]
    predict = found["test"] if study.training.save_predictions else []
    return EvaluationPlan(tuple(select), tuple(report), tuple(predict))


def _check_languages(
    target: TargetSection,
    wanted: tuple[str, ...],
    sets: list[EvaluationSet],
    where: str,
    data_root: Path | None,
) -> None:
    """Check that what was asked for is there: a language by name; of groups, at least one.

    Raises:
        DataError: It is not.
    """
    present = {chosen.language for chosen in sets}
    missing = [code for code in wanted if code in target.languages and code not in present]
    if target.languages and not present.intersection(wanted):
        missing = list(wanted)
    if missing:
        raise DataError(
            f"{where}: no labelled dev or test set of {', '.join(missing)} "
            f"under {data_root}. Put the files there, or take the language out of the study."
        )


def _is_labelled(
    task: Task, chosen: EvaluationSet, data_root: Path | None, catalogue: Catalogue
) -> bool:
    """Whether a set can be scored: XTREME's own layout blanks the labels of its test files."""
    split, language = chosen.split, chosen.language
    if not resolve_paths(task, split, language, data_root):
        return True  # Generated, or on the hub, whose releases are labelled.
    return is_labelled(task, split, language, data_root=data_root, catalogue=catalogue)
