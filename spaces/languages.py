"""Languages by code, as XTREME uses them, and groups of them.

The table is ``languages.yaml``, whose head names the source of every column. A group is a family, a
genus, a morphological type, a level of resources or a script, so that a study can say
``[agglutinative]`` or ``[fusional, -en]`` where it would list codes.

Low-resource languages are those of classes 0 to 2 of Joshi et al. 2020
(doi:10.18653/v1/2020.acl-main.560), mid-resource those of class 3, high-resource 4 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal, get_args

import yaml

from spaces.errors import InputError, UnknownNameError

#: In what respects languages are grouped.
Property = Literal["family", "genus", "morphology", "resources", "script"]

#: The highest class of Joshi et al. 2020 at each level of resources.
RESOURCE_LEVELS = {"low_resource": 2, "mid_resource": 3, "high_resource": 5}
EXCLUDED = "-"


@dataclass(frozen=True, slots=True)
class Language:
    """One row of ``languages.yaml``, whose head says what each column is and where it is from.

    Attributes:
        code: Two-letter code, or ISO 639-3 where there is none.
        iso3: ISO 639-3 of the individual language that data sets hold.
        name: English name.
        family: Top-level family.
        genus: Branch of the family, as WALS delimits it.
        script: ISO 15924.
        joshi_class: Resource class from 0 to 5; ``None`` where it has none.
        cc100_gib: GiB of text in XLM-R's pre-training; ``None`` where it has seen none.
        morphology: Morphological type; ``None`` where no source gives one.
        basis: Where the type is from.
    """

    code: str
    iso3: str
    name: str
    family: str
    genus: str
    script: str
    joshi_class: int | None
    cc100_gib: float | None
    morphology: str | None
    basis: str | None

    @property
    def resources(self) -> str | None:
        """Its level of resources: ``low_resource``, ``mid_resource`` or ``high_resource``."""
        if self.joshi_class is None:
            return None
        return next(name for name, top in RESOURCE_LEVELS.items() if self.joshi_class <= top)


def _read_table() -> dict[str, Language]:
    text = (resources.files("spaces") / "languages.yaml").read_text(encoding="utf-8")
    table = yaml.safe_load(text)
    rows = (dict(zip(table["columns"], row, strict=True)) for row in table["languages"])
    return {row["code"]: Language(**row) for row in rows}


#: Every language of the table by its code.
TABLE: Mapping[str, Language] = MappingProxyType(_read_table())


def group_of(code: str, what: Property) -> str | None:
    """Return the group a language belongs to in one respect, for breakdowns of scores.

    Args:
        code: A code. One that the table lacks, as those of constructed languages, has no group.
        what: The respect.

    Returns:
        The group's name, as ``resolve_languages`` takes it, or ``None``.

    >>> group_of("fi", "family"), group_of("fi", "morphology"), group_of("sw", "resources")
    ('uralic', 'agglutinative', 'low_resource')
    """
    language = TABLE.get(code)
    value = getattr(language, what) if language else None
    return _slug(value) if value else None


def groups_of(code: str) -> tuple[str, ...]:
    """Return every group a language belongs to.

    >>> groups_of("tr")
    ('turkic', 'agglutinative', 'high_resource', 'latn')
    """
    found = (group_of(code, what) for what in get_args(Property))
    return tuple(dict.fromkeys(group for group in found if group))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", name.lower())


def _groups() -> dict[str, tuple[str, ...]]:
    members: dict[str, list[str]] = {}
    for code in TABLE:
        for group in groups_of(code):
            members.setdefault(group, []).append(code)
    return {group: tuple(codes) for group, codes in sorted(members.items())}


#: Every group by its name, its members by code.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(_groups())


def resolve_languages(names: Sequence[str], among: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the languages that codes and groups stand for.

    Args:
        names: Codes and names of groups. With a minus before it, one takes its languages out; a
            list of such alone takes them out of ``among``.
        among: The languages there are, in order. Of a group, those that are not among them are
            passed over.
        where: Where the names are from, for messages.

    Returns:
        Members of ``among``, in its order; none where there are no names.

    Raises:
        UnknownNameError: A name that is no group and no language of ``among``.
        InputError: A group has no language among them, or none is left.

    >>> resolve_languages(["uralic", "tr", "-et"], ["en", "et", "fi", "hu", "tr"], "languages")
    ('fi', 'hu', 'tr')
    """
    excluded = [name.removeprefix(EXCLUDED) for name in names if name.startswith(EXCLUDED)]
    included = [name for name in names if not name.startswith(EXCLUDED)]
    chosen = set(among) if excluded and not included else set()
    for name in included:
        chosen |= _included(name, among, where)
    for name in excluded:
        chosen -= _excluded(name, among, where)
    if names and not chosen:
        raise InputError(f"{where}: {', '.join(names)} leaves none of {', '.join(among)}.")
    return tuple(code for code in among if code in chosen)


def _included(name: str, among: Sequence[str], where: str) -> set[str]:
    if name in among:
        return {name}
    if name not in GROUPS:
        raise _unknown(name, among, where)
    found = set(GROUPS[name]) & set(among)
    if not found:
        raise InputError(
            f"{where}: the group {name!r} ({', '.join(GROUPS[name])}) has no language among "
            f"{', '.join(among)}."
        )
    return found


def _excluded(name: str, among: Sequence[str], where: str) -> set[str]:
    # What is not there need not be taken out, but it must be the name of something.
    if name in among or name in TABLE:
        return {name}
    if name not in GROUPS:
        raise _unknown(name, among, where)
    return set(GROUPS[name])


def _unknown(name: str, among: Sequence[str], where: str) -> UnknownNameError:
    groups = {group for code in among for group in groups_of(code)}
    return UnknownNameError("language", name, [*among, *groups], where)


def expand(value: Any, language: str) -> Any:
    """Replace the language placeholders in a text, or in every text of a list or mapping.

    Args:
        value: A text with ``{lang}``, ``{lang3}``, ``{lang_name}`` or ``{lang_name_lower}``, a list
            or mapping of such, or anything else, which is returned as it is.
        language: The two-letter code. A code outside ``TABLE`` may be used wherever ``{lang}``
            alone is asked for.

    Raises:
        UnknownNameError: Another placeholder is used with a code that ``TABLE`` lacks.

    >>> expand("tatoeba.{lang3}-eng.{lang3}", "zh")
    'tatoeba.cmn-eng.cmn'
    """
    if isinstance(value, str):
        text = value.replace("{lang}", language)
        if "{lang" not in text:
            return text
        known = TABLE.get(language)
        if known is None:
            raise UnknownNameError("language", language, TABLE)
        text = text.replace("{lang3}", known.iso3).replace("{lang_name}", known.name)
        return text.replace("{lang_name_lower}", known.name.lower())
    if isinstance(value, list | tuple):
        return type(value)(expand(member, language) for member in value)
    if isinstance(value, dict):
        return {key: expand(member, language) for key, member in value.items()}
    return value
