from __future__ import annotations

import io

from rich.console import Console

from search.tokenising_view import lines, show_tokenising
from spaces.reports import SetProgress, SetReport

REPORTS = [
    SetReport("mnli", 1100, 1000, {"no gold label": 100}, is_cached=False),
    SetReport("qqp", 50, 50, {}, is_cached=True),
]


def test_the_sum_and_what_was_left_out_are_told():
    assert lines(REPORTS) == [
        "Training sets: 2, with 1,050 examples; 1 tokenised now, 1 before.",
        "  mnli: 1,000; left out: 100 no gold label.",
    ]
    assert lines([]) == []


def test_progress_is_shown_in_a_terminal_alone():
    events = [SetProgress("mnli", 500, 1100), SetProgress("mnli", 1100, 1100), *REPORTS]
    plain, terminal = io.StringIO(), io.StringIO()
    show_tokenising(events, Console(file=plain, width=100))
    assert plain.getvalue().splitlines() == lines(REPORTS)
    show_tokenising(events, Console(file=terminal, width=100, force_terminal=True))
    assert "tokenising mnli" in terminal.getvalue()
    assert "1100/1100" in terminal.getvalue()
