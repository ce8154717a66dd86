"""The page on study files is true: its studies are valid, and no key of the schema is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from spaces.study import Study, parse_study
from spaces.study_keys import UNITS, render_keys, study_keys

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
STUDIES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("text", STUDIES, ids=lambda text: text.splitlines()[0])
def test_the_studies_are_valid(text):
    assert parse_study(text, "docs/studies.md").space.size > 1


def keys(model: type[BaseModel]) -> set[str]:
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= keys(part)
    return found


def test_every_key_is_on_the_page():
    assert len(STUDIES) == 5
    missing = {key for key in keys(Study) if not re.search(rf"\b{key}\b", PAGE)}
    assert not missing


def test_the_table_of_keys_is_the_schemas():
    table = PAGE.partition("\n## Every key\n")[2].partition("\n| key |")[2]
    assert f"| key |{table}" == render_keys(), (
        "the schema has changed: put what `taskorder studies --keys` prints at the end of "
        "docs/studies.md"
    )


def test_every_number_has_a_unit_or_is_known_to_have_none():
    for key in study_keys():
        last = key.name.rpartition(".")[2]
        assert not key.is_number or {key.name, last} & set(UNITS), f"{key.name}: add it to UNITS"
    assert set(UNITS) <= {n for k in study_keys() for n in (k.name, k.name.rpartition(".")[2])}
