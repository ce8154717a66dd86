"""The arms of a study: which sequences they hold, on which seeds, and whether that can be run.

An arm is a named set of sequences. All of them run on every target under the same seeds, so that
arms are compared pair by pair. A trial is in one arm at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spaces.errors import InputError, UnknownNameError
from spaces.model_axis import model_labels, study_of_model
from spaces.sequences import TASK_SEPARATOR, Sequence, Stage
from spaces.stage_names import check_name, resolve_stage
from spaces.study_schema import Study
from spaces.tasks import Task


def arm_seeds(study: Study) -> tuple[int, ...]:
    """Return the seeds of every arm's sequences; none without arms."""
    if not study.arms:
        return ()
    given = study.arm_seeds
    return tuple(range(study.seed, study.seed + given)) if isinstance(given, int) else given


def arm_sequences(study: Study) -> Iterator[tuple[str, Sequence]]:
    """Yield (arm, sequence), in the order of the file."""
    for name, arm in study.arms.items():
        for stages in arm.sequences:
            yield name, _sequence(name, stages)


def arm_models(study: Study, arm: str) -> tuple[str, ...]:
    """Return the labels of the models an arm runs on, in the study's order."""
    chosen = study.arms[arm].models
    return tuple(label for label in model_labels(study) if not chosen or label in chosen)


def check_arms(study: Study, tasks: Mapping[str, Task]) -> None:
    """Check every sequence of every arm.

    Args:
        study: The study.
        tasks: Tasks by name.

    Raises:
        UnknownNameError: A name that is no stage.
        InputError: A stage that cannot be trained, or a sequence that is listed twice.
    """
    listed: dict[tuple[str, str], str] = {}
    for arm, section in study.arms.items():
        where = f"arms.{arm}"
        for label in section.models:
            if label not in model_labels(study):
                raise UnknownNameError("model", label, model_labels(study), f"{where}.models")
        for names in section.sequences:
            for part in (part for name in names for part in name.split(TASK_SEPARATOR)):
                check_name(study.intermediate, tasks, part, where)
            sequence = _sequence(arm, names)
            for stage in sequence.stages:
                resolve_stage(study.intermediate, tasks, stage)
            for key in ((label, str(sequence)) for label in arm_models(study, arm)):
                if key in listed:
                    raise InputError(
                        f"{where}: the sequence {key[1] or '[]'} is in arm {listed[key]!r} "
                        "already. A trial is in one arm: list every sequence once."
                    )
                listed[key] = arm


def _sequence(arm: str, stages: tuple[str, ...]) -> Sequence:
    try:
        return Sequence(tuple(Stage(tuple(name.split(TASK_SEPARATOR))) for name in stages))
    except InputError as error:
        raise InputError(f"arms.{arm}: {error}. A name may occur once in a sequence.") from None


def search_alone(study: Study) -> Study:
    """Return a study without arms and further models: what a simulation of the search can run.

    Raises:
        InputError: Nothing is left.
    """
    if not study.arms and not study.models:
        return study
    if study.search.num_trials == 0 and not study.search.baselines:
        raise InputError(
            f"study {study.name!r} has arms and no search, so there is nothing to simulate. Raise "
            "search.num_trials or set search.baselines."
        )
    return study_of_model(study, model_labels(study)[0]).model_copy(update={"arms": {}})
