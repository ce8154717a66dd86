"""A run's report as a terminal without colours shows it."""

from __future__ import annotations

import io

from rich.console import Console

from analysis.frames import Run
from analysis.report import render_text


def report_text(run: Run, width: int = 100) -> str:
    """Return the report in lines of at most ``width`` letters."""
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(render_text(run))
    return console.file.getvalue()
