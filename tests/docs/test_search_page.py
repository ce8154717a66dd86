from __future__ import annotations

import re
from pathlib import Path

import pytest

from search.samplers import SAMPLERS

PAGE = Path(__file__).parents[2] / "docs" / "search.md"


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_page_has_every_sampler(name):
    table = PAGE.read_text(encoding="utf-8").split("## Samplers")[1].split("\n## ")[0]
    assert re.search(rf"^\|.*`{name}`.*\|.*\|$", table, re.MULTILINE)
