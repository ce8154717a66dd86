"""What a run found: frames, statistics, status and report.

``from analysis import load_run`` is the entry point. Names are resolved on first use, so that
importing this package (for ``taskorder --help``) does not load pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.frames import Problem, Run, Runs, load_run, load_runs
    from analysis.statistics import cost_summary, incumbent, leaderboard

__all__ = [
    "Problem",
    "Run",
    "Runs",
    "cost_summary",
    "incumbent",
    "leaderboard",
    "load_run",
    "load_runs",
]

_MODULES = {
    "analysis.frames": ("Problem", "Run", "Runs", "load_run", "load_runs"),
    "analysis.statistics": ("cost_summary", "incumbent", "leaderboard"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
