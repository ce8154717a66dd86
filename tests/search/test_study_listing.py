from __future__ import annotations

import io

import pytest
from rich.console import Console

from search.study_listing import render_studies
from spaces.study import parse_study, ready_made_studies

STUDIES = {name: parse_study(text, name) for name, text in ready_made_studies().items()}


def listed(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render_studies(STUDIES, width))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_every_line_fits_and_every_study_is_whole(width):
    lines = listed(width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for name, study in STUDIES.items():
        assert f"{name} " in text
        assert study.description in text


def test_descriptions_stand_below_where_it_is_narrow_and_beside_where_it_is_wide():
    narrow, wide = listed(80), listed(200)
    assert len(narrow) == 1 + 2 * len(STUDIES)
    assert len(wide) == 1 + len(STUDIES)
    row = next(line for line in narrow if line.startswith("task-order "))
    assert row.split() == ["task-order", "xlm-roberta-large", "586", "10"]
    assert narrow[0].split() == ["study", "models", "sequences", "targets"]
