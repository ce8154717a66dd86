"""Ratios of the training benchmark that are kept, and whether later ones are worse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

#: How many times as fast as each peer, by task.
Ratios = Mapping[str, Mapping[str, float]]
#: Part of a kept ratio that may be lost: what machines and their noise account for.
MOST_LOST = 0.2


def load_ratios(path: Path, setting: str) -> Ratios:
    """Return the ratios kept for a setting.

    Args:
        path: The file.
        setting: What was measured, such as ``mini on a CPU``.

    Raises:
        SystemExit: There are none.
    """
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if setting not in kept:
        raise SystemExit(
            f"{path} keeps no ratios of {setting!r}, only of {', '.join(kept) or 'nothing'}. "
            f"Keep them with --save {path}."
        )
    ratios: Ratios = kept[setting]
    return ratios


def save_ratios(path: Path, setting: str, found: Ratios) -> None:
    """Keep the ratios of a setting; those of other settings stay."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept[setting] = {
        task: {peer: round(ratio, 2) for peer, ratio in row.items()} for task, row in found.items()
    }
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def compare_ratios(kept: Ratios, found: Ratios) -> list[str]:
    """Return a line for each ratio that is worse than the one kept by more than ``MOST_LOST``.

    What is in one of the two alone is not looked at, unless they have nothing in common.

    >>> compare_ratios({"mnli": {"HF": 2.0, "bare": 1.5}}, {"mnli": {"HF": 1.7, "bare": 1.1}})
    ['mnli: 1.10 times as fast as bare, which is less than 80% of the 1.50 kept']
    """
    both = [
        (task, peer, ratio, found[task][peer])
        for task, row in kept.items()
        for peer, ratio in row.items()
        if peer in found.get(task, {})
    ]
    if not both:
        return ["no ratio that is kept was measured"]
    return [
        f"{task}: {now:.2f} times as fast as {peer}, which is less than "
        f"{1 - MOST_LOST:.0%} of the {before:.2f} kept"
        for task, peer, before, now in both
        # Not a number is worse than anything.
        if not now >= (1 - MOST_LOST) * before
    ]
