"""docs/analysis.md: every example gives what it says, every statistic is there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pandas as pd
import pytest

import analysis
from analysis.timeline import utilisation
from tests.analysis.synthetic import write_synthetic_run

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"
EXAMPLES = re.compile(r"```pycon\n(.*?)```", flags=re.DOTALL)


def test_every_example_of_the_page_gives_what_it_says(tmp_path, monkeypatch):
    write_synthetic_run(tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    # What is not an example becomes empty lines, so that line numbers stay right.
    source = text.splitlines()
    lines = [""] * len(source)
    for match in EXAMPLES.finditer(text):
        first = text.count("\n", 0, match.start(1))
        last = first + match.group(1).count("\n")
        lines[first:last] = source[first:last]
    parsed = doctest.DocTestParser().get_doctest("\n".join(lines), {}, "page", str(PAGE), 0)
    assert len(parsed.examples) > 40
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with pd.option_context("display.width", 120, "display.max_columns", 20):
        failed, _ = runner.run(parsed, out=report.append)
    assert not failed, "".join(report)


def test_every_public_statistic_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    elsewhere = {"Problem", "Run", "Runs", "incumbent", "language_scores", "language_observations"}
    missing = [n for n in analysis.__all__ if n not in elsewhere and n not in text]
    assert not missing


def test_public_names_are_what_they_say():
    assert analysis.utilisation is utilisation
    assert all(getattr(analysis, name).__name__ == name for name in analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analysis.nothing
