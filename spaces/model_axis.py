"""The models of a study: their labels, and the study as one of them sees it.

A study has one model or several. Arms and baselines run on every model; the search and its
confirmation run on the first alone, because scores of different models are no rungs of one race.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from spaces.errors import InputError, UnknownNameError
from spaces.model_sections import ModelEntry
from spaces.stage_sections import Section
from spaces.study_schema import Study

_S = TypeVar("_S", bound=Section)


def model_labels(study: Study) -> tuple[str, ...]:
    """Return the labels of a study's models, the one that is searched with first.

    A single model is called by its name.
    """
    return tuple(study.models) or (study.model.name,)


def study_of_model(study: Study, label: str) -> Study:
    """Return the study as if a model were its only one, with the model's own settings.

    Raises:
        UnknownNameError: No model of the study.
    """
    if label not in model_labels(study):
        raise UnknownNameError("model", label, model_labels(study), "models")
    entry = study.models.get(label)
    if entry is None:
        return study
    return study.model_copy(
        update={
            "model": entry.section,
            "models": {},
            "training": _training(study, entry),
            "deepspeed": study.deepspeed if entry.deepspeed is None else entry.deepspeed,
        }
    )


@contextmanager
def naming_model(label: str, own: Study) -> Iterator[None]:
    """Let what is wrong with a model name the key that the study file has.

    What looks at one model speaks of ``model.name``; of several models that is
    ``models.<label>.name``.

    Args:
        label: The model's label.
        own: The study as this model sees it.

    Raises:
        InputError: The one that was raised inside, under the file's key.
    """
    try:
        yield
    except InputError as error:
        message = str(error)
        if label == own.model.name or not message.startswith("model."):
            raise
        raise InputError(f"models.{label}.{message.removeprefix('model.')}") from error


def _training(study: Study, entry: ModelEntry) -> Section:
    own = entry.training
    given = own.model_dump(exclude_none=True, exclude={"stage", "target"})
    scopes = {
        "stage": _merged(study.training.stage, own.stage),
        "target": _merged(study.training.target, own.target),
    }
    return study.training.model_copy(update={**given, **scopes})


def _merged(section: _S, own: Section) -> _S:
    return section.model_copy(update=own.model_dump(exclude_none=True))
