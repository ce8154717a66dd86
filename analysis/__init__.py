"""What a run found: frames, statistics, status and report.

``from analysis import load_run`` is the entry point. It is resolved on first use, so that
importing this package (for ``taskorder --help``) does not load pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.frames import Run, load_run

__all__ = ["Run", "load_run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("analysis.frames"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
