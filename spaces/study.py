"""Reading studies: files and ready-made ones, ``--set`` overrides, and messages for people.

What can be checked without data is checked here: unknown keys, types, task names, impossible
combinations.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spaces.arms import check_arms
from spaces.errors import InputError, UnknownNameError
from spaces.hyperparameters import TUNABLE, Distribution, split_name
from spaces.model_sections import DeepSpeedSection, ModelSection
from spaces.schema_messages import describe
from spaces.stage_names import check_name, check_role, check_stages
from spaces.stage_sections import TrainingOverrides
from spaces.study_schema import (
    Study,
    TargetSection,
    TrainingSection,
)
from spaces.yaml_text import parse_mapping, parse_value, read_text

__all__ = [
    "RESOLVED",
    "DeepSpeedSection",
    "ModelSection",
    "Study",
    "TargetSection",
    "TrainingOverrides",
    "TrainingSection",
    "load_study",
    "parse_study",
    "ready_made_studies",
]

#: Section of a run directory's ``study.yaml`` that notes versions; not part of the study.
RESOLVED = "resolved"
#: The largest whole number that a study may hold.
LARGEST = 2**31 - 1


def ready_made_studies() -> dict[str, str]:
    """Return the ready-made studies: name to YAML text."""
    folder = resources.files("spaces") / "studies"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def load_study(reference: str, overrides: tuple[str, ...] = ()) -> Study:
    """Load and validate a study.

    Args:
        reference: A YAML file, or the name of a ready-made study.
        overrides: ``key.path=value`` pairs; values are read as YAML.

    Raises:
        InputError: Anything wrong with it, in one message.
    """
    path = Path(reference)
    if path.is_file():
        text, origin = read_text(path, "study file"), str(path)
    else:
        studies = ready_made_studies()
        if path.suffix in (".yaml", ".yml") or "/" in reference:
            raise InputError(
                f"study file {reference!r} does not exist. Give a YAML file or one of the "
                f"ready-made studies: {', '.join(studies)}."
            )
        if reference not in studies:
            raise UnknownNameError("study", reference, studies)
        text, origin = studies[reference], f"study {reference}"
    return parse_study(text, origin, overrides)


def parse_study(text: str, origin: str, overrides: tuple[str, ...] = ()) -> Study:
    """Read a study from YAML text and check it against the catalogue.

    Raises:
        InputError: Not YAML, unknown keys, wrong types, unknown tasks or impossible settings.
    """
    raw = parse_mapping(text, origin, "study file")
    raw.pop(RESOLVED, None)
    for override in overrides:
        _apply_override(raw, override)
    _check_whole_numbers(raw, origin)
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{origin}: {describe(error, Study)}") from None
    _check_names(study)
    return study


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise InputError(f"--set {override!r}: write key=value, for example search.num_trials=50.")
    *parents, last = key.split(".")
    node: Any = raw
    if parents and parents[0] == "hyperparameters":
        parents, last = ["hyperparameters"], key.removeprefix("hyperparameters.")
    for parent in parents:
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            raise InputError(f"--set {override!r}: {parent!r} is not a section of the study.")
    node[last] = parse_value(value, f"--set {override!r}: the value is not YAML")


def _check_whole_numbers(value: Any, origin: str, key: str = "") -> None:
    """Check that tables and random generators can hold every whole number, seeds for instance."""
    if isinstance(value, dict):
        for name, member in value.items():
            _check_whole_numbers(member, origin, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for member in value:
            _check_whole_numbers(member, origin, key)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise InputError(
            f"{origin}: {key}: {value} is beyond {LARGEST}, the largest whole number that a study "
            "may hold. Give a smaller one."
        )


def _check_names(study: Study) -> None:
    catalogue = study.catalogue()
    check_stages(study.intermediate, catalogue)
    check_arms(study, catalogue)
    for name in study.intermediate.tasks:
        check_name(study.intermediate, catalogue, name, "intermediate.tasks")
    seen = set()
    for target in study.targets:
        task = check_role(catalogue, target.name, "target", "targets")
        if target.name in seen:
            raise InputError(f"targets: {target.name!r} is listed twice.")
        seen.add(target.name)
        if target.languages:
            where = f"targets.{target.name}.languages"
            task.select_languages(target.languages, where)
    # The space checks its own bounds: a length beyond the number of tasks, a task listed twice.
    space = study.space
    _check_hyperparameters(study)
    if study.search.num_trials == 0 and not study.search.baselines and not study.arms:
        raise InputError(
            "search: num_trials is 0 and baselines is false, so there is nothing to run. "
            f"Raise num_trials (the space has {space.size} sequences), keep the baselines, or give "
            "arms."
        )
    given = {f"models.{label}.deepspeed": entry.deepspeed for label, entry in study.models.items()}
    for where, deepspeed in {"deepspeed": study.deepspeed, **given}.items():
        if isinstance(deepspeed, str) and not Path(deepspeed).is_file():
            raise InputError(
                f"{where}: the file {deepspeed!r} does not exist. Give the path of a DeepSpeed "
                "JSON, or zero_stage and offload."
            )


def _check_hyperparameters(study: Study) -> None:
    """Check every name, and that every value it may take is one the setting may have."""
    for name, spec in study.hyperparameters.items():
        _, setting = split_name(name)
        for value in spec.extremes() if isinstance(spec, Distribution) else (spec,):
            is_whole = isinstance(value, int)
            if TUNABLE[setting] is int and not is_whole:
                raise InputError(
                    f"hyperparameters.{name}: {value!r} is not a whole number. Use int_uniform or "
                    "a choice of whole numbers."
                )
            try:
                TrainingOverrides.model_validate({setting: value})
            except ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Input ")
                raise InputError(f"hyperparameters.{name}: {message} (got {value!r})") from None
