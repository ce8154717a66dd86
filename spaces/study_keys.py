"""Every key of the study file with its values, default and unit, read from the schema.

>>> key = next(key for key in study_keys() if key.name == "training.batch_size")
>>> key.values, key.default, key.unit
('whole number, at least 1', '32', 'examples')
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spaces.model_sections import ModelEntry, ModelSection
from spaces.stage_sections import TrainingOverrides
from spaces.study_schema import Study

#: Units of the numbers, by the key's last name or, where that is not enough, by the whole key. The
#: empty ones are plain numbers.
UNITS: Mapping[str, str] = {
    "arm_seeds": "seeds",
    "batch_size": "examples",
    "brackets": "brackets",
    "cap": "examples",
    "checkpoint_every_steps": "steps",
    "cpus_per_worker": "CPU cores",
    "dropout": "probability",
    "epochs": "passes over the data",
    "eval_batch_size": "examples",
    "gpus_per_worker": "GPUs",
    "hidden_size": "dimensions",
    "intermediate.max_length": "stages",
    "learning_rate": "",
    "max_concurrent": "trials",
    "max_eval_examples": "examples a language",
    "max_examples": "examples a language",
    "max_failures": "further attempts",
    "max_grad_norm": "",
    "max_length": "subwords",
    "max_sentences_per_language": "sentences",
    "max_size_gb": "GB",
    "max_steps": "steps",
    "max_train_examples": "examples a task",
    "micro_batch_size": "examples a worker",
    "num_heads": "heads",
    "num_layers": "layers",
    "num_rungs": "rungs",
    "num_trials": "trials",
    "reduction_factor": "",
    "rungs": "steps",
    "seed": "",
    "seeds": "seeds",
    "share": "fraction of steps",
    "steps": "steps",
    "temperature": "",
    "top": "sequences",
    "vocab_size": "subwords",
    "warmup_fraction": "fraction of steps",
    "weight_decay": "",
    "workers_per_trial": "workers",
}

#: What names an entry of a mapping whose names the user chooses, or of a list.
_ENTRIES = {"models": "<label>", "stages": "<name>", "arms": "<name>"}
_KINDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    type(None): "`null`",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True, slots=True)
class StudyKey:
    """One key of the study file.

    Attributes:
        name: The key with dots; ``<name>`` stands for what the user calls it, ``[]`` for each entry
            of a list.
        values: What it may be.
        default: As a study file says it; ``required`` if it has none.
        unit: Of a number; empty for a plain one, and for everything else.
        is_number: Whether it may be a number.
    """

    name: str
    values: str
    default: str
    unit: str
    is_number: bool


def study_keys() -> tuple[StudyKey, ...]:
    """Return every key of the study file, in the schema's order.

    Settings that a scope, a stage or one of several models may override are one key: they are
    those of ``training``.
    """
    return tuple(_keys(Study, "", None))


def render_keys() -> str:
    """Return the keys as a table in Markdown."""
    lines = ["| key | values | default | unit |", "|---|---|---|---|"]
    for key in study_keys():
        values = key.values.replace("|", "\\|")
        default = key.default if key.default == "required" else f"`{key.default}`"
        lines.append(f"| `{key.name}` | {values} | {default} | {key.unit} |")
    return "\n".join(lines) + "\n"


def _keys(section: type[BaseModel], path: str, given: BaseModel | None) -> Iterator[StudyKey]:
    """Yield a section's keys.

    Args:
        section: The section.
        path: Its own key with a dot at the end; empty for the whole file.
        given: Its default, which may differ from that of its fields alone.
    """
    for name, field in section.model_fields.items():
        if section is ModelEntry and name in ModelSection.model_fields and name != "name":
            continue  # As those of ``model``.
        key = f"{path}{name}"
        default = (
            field.get_default(call_default_factory=True) if given is None else getattr(given, name)
        )
        inner = next(_sections(field.annotation), None)
        if inner is None:
            yield _key(key, field, default)
        elif issubclass(inner, TrainingOverrides) and path:
            yield StudyKey(key, "settings of `training`", "{}", "", is_number=False)
        else:
            alternatives = [kind for kind in _alternatives(field.annotation) if kind != "section"]
            if alternatives and typing.get_origin(field.annotation) not in (dict, tuple):
                whole = " or ".join(["the keys below", *alternatives])
                shown = "null" if default is None else "{}"
                yield StudyKey(key, whole, shown, "", is_number=False)
            entry = ""
            if typing.get_origin(field.annotation) is dict:
                entry = f".{_ENTRIES[name]}"
            elif typing.get_origin(field.annotation) is tuple:
                entry = "[]"
            yield from _keys(
                inner, f"{key}{entry}.", default if isinstance(default, BaseModel) else None
            )


def _key(name: str, field: FieldInfo, default: Any) -> StudyKey:
    kinds = _alternatives(field.annotation)
    bounds = [
        f"{words} {getattr(bound, attribute):g}"
        for bound in field.metadata
        for attribute, words in _BOUNDS.items()
        if hasattr(bound, attribute)
    ]
    is_number = any("number" in kind for kind in kinds)
    values = " or ".join([", ".join([kinds[0], *bounds]), *kinds[1:]])
    if bounds and len(kinds) > 1:
        values = values.replace(" or ", ", or ", 1)
    unit = UNITS.get(name, UNITS.get(name.rpartition(".")[2], "")) if is_number else ""
    return StudyKey(
        name,
        values,
        "required" if field.is_required() else _shown(default),
        unit,
        is_number,
    )


def _alternatives(annotation: Any) -> list[str]:
    """Return in words what a value may be; sections are told as ``section``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return list(dict.fromkeys(kind for one in arguments for kind in _alternatives(one)))
    if origin is Literal:
        return [f"`{_shown(value)}`" for value in arguments]
    if origin is tuple:
        return [f"list ({' or '.join(_alternatives(arguments[0]))})"]
    if origin is dict:
        return ["mapping"]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return ["section"]
    return [_KINDS[annotation]]


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections of a key, but not those of values that the user names (distributions)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if typing.get_origin(annotation) is dict:
        annotation = typing.get_args(annotation)[1]
        if typing.get_origin(annotation) is not None:
            return
        yield from _sections(annotation)
    else:
        for inner in typing.get_args(annotation):
            yield from _sections(inner)


def _shown(value: Any) -> str:
    """Return a value as a study file has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value) if value != "" else '""'
