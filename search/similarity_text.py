"""A similarity report for a terminal: matrices, then what they were worth. Plain lines, any width.

A star marks the highest value of a column, unless all are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from search.similarity_command import SimilarityReport

if TYPE_CHECKING:
    import pandas as pd

GAP = "  "
STATISTICS = ("spearman", "ndcg", "regret@1", "regret@3", "regret@5")
_HEADINGS = {
    "source_target": "Stages and targets",
    "source_source": "Stages among themselves",
    "sequence_target": "Sequences, guessed from task vectors",
}
_QUESTIONS = {
    "source_target": "How well similarity predicted what each stage gains alone",
    "sequence_target": "How well composed task vectors predicted what sequences gain",
}


def render_report(report: SimilarityReport, width: int) -> Group:
    """Return the report in lines of at most ``width`` columns."""
    lines: list[Text] = []
    for kind in dict.fromkeys(report.values["kind"]):
        mine = report.values[report.values["kind"] == kind]
        lines += [Text(_HEADINGS[kind], style="bold"), Text()]
        for measure in dict.fromkeys(mine["measure"]):
            lines += _matrix(report, mine[mine["measure"] == measure], measure, kind, width)
            lines.append(Text())
    for kind in dict.fromkeys(report.predictive["kind"] if report.has_results else ()):
        lines.append(Text(_QUESTIONS[kind], style="bold"))
        lines += _predictive(report.predictive[report.predictive["kind"] == kind], width)
        lines += [Text(sentence) for about, sentence in report.verdicts() if about == kind]
        lines.append(Text())
    return Group(*lines[:-1])


def _matrix(
    report: SimilarityReport, frame: pd.DataFrame, measure: str, kind: str, width: int
) -> Iterator[Text]:
    about = report.about.get(measure, {})
    yield Text(f"{measure}: {about.get('description', '')}")
    examples, cost = int(frame["num_examples"].max()), frame["cost_s"].sum()
    facts = f"{examples} examples a pair, {cost:.1f} s. " if examples else ""
    yield Text(f"{facts}{about.get('paper', '')}", style="dim")
    if frame["value"].notna().any():
        yield from _cells(frame, starred=kind != "source_source", width=width)
    for note in dict.fromkeys(frame.loc[frame["value"].isna(), "note"]):
        yield Text(f"not available: {note}", style="dim")


def _cells(frame: pd.DataFrame, *, starred: bool, width: int) -> Iterator[Text]:
    rows = list(dict.fromkeys(frame["source"]))
    columns = rows if not starred else list(dict.fromkeys(frame["target"]))
    keys = zip(frame["source"], frame["target"], strict=True)
    value = dict(zip(keys, frame["value"].tolist(), strict=True))
    best = {target: _best(value, target) for target in columns} if starred else {}

    def cell(source: str, target: str) -> str:
        found = value.get((source, target), math.nan)
        star = "*" if found == best.get(target) else " "
        return "-" + " " if math.isnan(found) else _number(found) + star

    yield from _table(
        rows, columns, [[cell(source, target) for target in columns] for source in rows], width
    )


def _best(value: Mapping[tuple[str, str], float], column: str) -> float | None:
    """Return the highest value of a column; ``None`` where all are equal."""
    found = {v for (_, target), v in value.items() if target == column and not math.isnan(v)}
    return max(found) if len(found) > 1 else None


def _predictive(frame: pd.DataFrame, width: int) -> Iterator[Text]:
    rows = frame[frame["target"] == "all"]
    keys = zip(rows["measure"], rows["statistic"], strict=True)
    value = dict(zip(keys, rows["value"].tolist(), strict=True))
    # The baselines come first, then the best.
    baselines = list(dict.fromkeys(rows["measure"]))[:2]
    measures = baselines + sorted(
        set(rows["measure"]) - set(baselines), key=lambda name: -value[name, "ndcg"]
    )
    columns = [name for name in STATISTICS if any((m, name) in value for m in measures)]
    cells = [
        [_number(value.get((measure, name), math.nan)) + " " for name in columns]
        for measure in measures
    ]
    yield from _table(measures, columns, cells, width)
    yield Text(
        "Means over targets. regret@k: points lost by trying the k highest ranked alone.",
        style="dim",
    )


def _table(
    rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[str]], width: int
) -> Iterator[Text]:
    """Lay out cells under their columns; where they do not fit, in blocks of columns."""
    head = min(max(len(row) for row in rows), max(12, width // 3))
    widths = [
        max(len(name) + 1, *(len(line[i]) for line in cells)) for i, name in enumerate(columns)
    ]
    start = 0
    while start < len(columns):
        end, room = start, width - head
        while end < len(columns) and (end == start or room >= widths[end] + len(GAP)):
            room -= widths[end] + len(GAP)
            end += 1
        block = range(start, end)
        names = GAP.join(f"{columns[i]} ".rjust(widths[i]) for i in block)
        yield Text(f"{'':{head}}{GAP}{names}".rstrip(), style="dim")
        for row, line in zip(rows, cells, strict=True):
            shown = GAP.join(line[i].rjust(widths[i]) for i in block)
            yield Text(f"{_cut(row, head):{head}}{GAP}{shown}".rstrip())
        start = end


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
