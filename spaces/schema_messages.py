"""What a schema found wrong with a file, in words: a clause for each finding, with the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from spaces.errors import near_matches

#: Longest value that is shown whole.
MAX_SHOWN = 80

#: How pydantic names the alternatives of a union that it constructs.
_CONSTRUCTED = ("literal[", "function-", "tagged-", "tuple[")


def describe(error: ValidationError, schema: type[BaseModel]) -> str:
    """Say what a schema found, joined by semicolons.

    Of a value that may be one of several things, only the findings on the thing it was meant to be
    are told; where that is unclear, all its alternatives in one clause.

    Args:
        error: The findings.
        schema: The schema of the whole file, ``Study`` or ``Task``.
    """
    branches = _branches(schema)
    findings = [(list(_keys(finding["loc"], branches)), finding) for finding in error.errors()]
    # The first of several models is checked as the study's model too; the file has it once.
    of_models = {tuple(path[2:]) for path, _ in findings if path[:1] == ["models"]}
    findings = [
        (path, finding)
        for path, finding in findings
        if path[:1] != ["model"] or tuple(path[1:]) not in of_models
    ]
    missed: dict[str, list[Any]] = {}
    meant: dict[str, str] = {}
    for path, finding in findings:
        key = ".".join(path)
        is_alternative = len(path) < len(finding["loc"])
        if is_alternative and finding["type"] != "value_error" and finding["loc"][-1] != path[-1]:
            missed.setdefault(key, []).append(finding)
        elif finding["type"] != "too_short" or not _within(key, meant):
            clause = _clause(path, finding, schema)
            meant.setdefault(f"{key}:{finding['type']}", clause)
    for key, found in missed.items():
        if not _within(key, meant):
            rules = " or ".join(dict.fromkeys(_rule(finding) for finding in found))
            meant[f"{key}:"] = f"{key}: {rules} (got {_shown(found[0]['input'])})"
    return "; ".join(dict.fromkeys(meant.values()))


def _within(key: str, told: Mapping[str, str]) -> bool:
    """Whether something at a key, or inside it, is told already."""
    return any(name.startswith((f"{key}.", f"{key}:")) for name in told)


def _rule(finding: Any) -> str:
    """Return what a value should be."""
    message: str = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message.partition(", unable to parse")[0].replace(" after validation", "")
    # "... valid dictionary or instance of ModelSection": the class is no word of a study file.
    message = message.partition(" or instance of ")[0].replace("valid dictionary", "mapping")
    return message.replace("valid tuple", "list").replace("Tuple", "the list")


def _clause(path: list[str], finding: Any, schema: type[BaseModel]) -> str:
    key = ".".join(path) or "(top level)"
    value = finding["input"]
    match finding["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key. {near_matches(path[-1], _known_keys(path[:-1], schema))}"
        case "missing":
            return f"{key}: required, and missing"
        case "string_pattern_mismatch":
            pattern = finding["ctx"]["pattern"]
            return f"{key}: {value!r} does not match {pattern} (letters, digits, '_', '.', '-')"
    return f"{key}: {_rule(finding)} (got {_shown(value)})"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _keys(location: tuple[int | str, ...], branches: Set[str]) -> Iterator[str]:
    """Yield the keys and positions of a finding, without the names of a union's branches."""
    for part in location:
        text = str(part)
        if text not in branches and not text.startswith(_CONSTRUCTED):
            yield text


def _known_keys(path: list[str], schema: type[BaseModel]) -> list[str]:
    """Return the keys of the section at a path."""
    model: Any = schema
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            continue  # A position in a list, or a name the user chose.
        model = next(_sections(field.annotation), model)
    return list(model.model_fields)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections an annotation names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _sections(inner)


def _all_sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for section in _sections(field.annotation):
            yield from _all_sections(section)


@lru_cache
def _branches(schema: type[BaseModel]) -> frozenset[str]:
    """Return how pydantic names the alternatives of a union: by section, or by type."""
    return frozenset(section.__name__ for section in _all_sections(schema)) | {
        "int",
        "float",
        "str",
    }
