"""What ``taskorder studies`` lists: the ready-made studies, one or two lines each."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.text import Text

from spaces.model_axis import model_labels
from spaces.study import Study

HEAD = ("study", "models", "sequences", "targets")
GAP = "  "
#: A description stands beside the rest where there is room for so much of it, else below.
MIN_DESCRIPTION = 74


def render_studies(studies: Mapping[str, Study], width: int) -> Group:
    """Return studies in columns, their descriptions beside them or, if that is narrow, below.

    Args:
        studies: The studies by name.
        width: Columns of the terminal.
    """
    rows = {name: _cells(name, study) for name, study in sorted(studies.items())}
    widths = [max(map(len, column)) for column in zip(HEAD, *rows.values(), strict=True)]
    is_beside = width - sum(widths) - len(GAP) * len(widths) >= MIN_DESCRIPTION
    head = _line(HEAD, widths)
    lines = [Text(f"{head}{GAP}description" if is_beside else head, style="bold")]
    for name, cells in rows.items():
        row, description = _line(cells, widths), studies[name].description
        if is_beside:
            lines.append(Text(f"{row}{GAP}{description}".rstrip()))
        else:
            lines += [Text(row), Text(f"{GAP}{description}", style="dim")]
    return Group(*lines)


def _cells(name: str, study: Study) -> tuple[str, ...]:
    searched = study.space.size if study.search.num_trials else 0
    compared = sum(len(arm.sequences) for arm in study.arms.values())
    # A hub id without its owner.
    models = ", ".join(label.rpartition("/")[2] for label in model_labels(study))
    return name, models, f"{max(searched, compared):,}", str(len(study.targets))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Names to the left, counts to the right."""
    padded = [
        cell.ljust(wide) if column < 2 else cell.rjust(wide)
        for column, (cell, wide) in enumerate(zip(cells, widths, strict=True))
    ]
    return GAP.join(padded)
