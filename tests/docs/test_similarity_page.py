from __future__ import annotations

from pathlib import Path

import pytest

from trainables.similarity import MEASURES

PAGE = Path(__file__).parents[2] / "docs" / "similarity.md"


@pytest.mark.parametrize("name", MEASURES)
def test_the_page_has_every_measure(name):
    assert f"| `{name}` | " in PAGE.read_text(encoding="utf-8")


def test_the_page_has_no_other_measure():
    table = PAGE.read_text(encoding="utf-8").split("## Measures")[1].split("\n- ")[0]
    rows = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(MEASURES)
