"""Render the findings of a run: for a terminal, and as Markdown with tables as CSV."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from analysis.findings import Section, Table, findings
from analysis.frames import Run
from analysis.languages import language_scores
from analysis.statistics import cost_summary, leaderboard
from analysis.wording import escape_markdown
from spaces.errors import InputError
from spaces.tables import TABLES


def render_text(run: Run) -> Group:
    """Render the report of a run for ``rich.console.Console.print``.

    Names and errors of the run are printed as they are: nothing in them is read as markup.
    """
    parts: list[RenderableType] = []
    for section in findings(run):
        parts += _rich_section(section)
    return Group(*parts)


def report_text(run: Run, width: int = 100) -> str:
    """Render the report of a run as plain text.

    Args:
        run: The run.
        width: Longest line in characters.
    """
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(render_text(run))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def render_markdown(run: Run) -> str:
    """Render the report of a run as Markdown."""
    lines: list[str] = []
    for depth, section in enumerate(findings(run)):
        lines += [f"{'#' if depth == 0 else '##'} {escape_markdown(section.title)}", ""]
        for paragraph in section.paragraphs:
            lines += [escape_markdown(paragraph), ""]
        if section.table:
            lines += [*_markdown_table(section.table), ""]
        if section.code:
            lines += [*(f"    {line}".rstrip() for line in section.code), ""]
    return "\n".join(lines).rstrip() + "\n"


def write_report(run: Run, out: Path) -> list[Path]:
    """Write the report and its tables into a folder.

    Args:
        run: The run.
        out: The folder; made if need be, files of the same names in it are replaced.

    Returns:
        The files: ``report.md``; ``leaderboard.csv``, ``languages.csv`` and ``cost.csv`` (see
        ``analysis.statistics`` and ``analysis.languages``); ``trials.csv``, ``scores.csv``,
        ``stages.csv`` and ``rungs.csv`` (see ``spaces.tables``).

    Raises:
        InputError: ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file. Give a folder for the report.")
    out.mkdir(parents=True, exist_ok=True)
    board = leaderboard(run)
    best = board[board["rank"] == 1]
    languages = [
        language_scores(run, target, sequence)
        for target, sequence in zip(best["target"], best["sequence"], strict=True)
    ]
    frames = {
        "leaderboard": board,
        "languages": pd.concat(languages) if languages else pd.DataFrame(),
        "cost": cost_summary(run).rename_axis("phase").reset_index(),
        **{table: getattr(run, table) for table in TABLES},
    }
    report = out / "report.md"
    report.write_text(render_markdown(run), encoding="utf-8")
    written = [report]
    for name, frame in frames.items():
        path = out / f"{name}.csv"
        frame.to_csv(path, index=False)
        written.append(path)
    return written


def _rich_section(section: Section) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(section.title, style="bold")]
    parts += [Padding(Text(paragraph), (0, 0, 0, 2)) for paragraph in section.paragraphs]
    if section.table:
        parts.append(Padding(_rich_table(section.table), (0, 0, 0, 1)))
        if section.table.note:
            parts.append(Padding(Text(section.table.note, style="dim"), (0, 0, 0, 2)))
    if section.code:
        parts.append(Padding(Text("\n".join(section.code), style="cyan"), (0, 0, 0, 2)))
    return [*parts, Text("")]


def _rich_table(table: Table) -> RichTable:
    rendered = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(table.header):
        words = index < table.num_left
        rendered.add_column(
            Text(name),
            justify="left" if words else "right",
            overflow="fold" if words else "ellipsis",
            no_wrap=not words,
        )
    for row in table.rows:
        rendered.add_row(*(Text(cell) for cell in row))
    return rendered


def _markdown_table(table: Table) -> list[str]:
    rule = ("---" if i < table.num_left else "---:" for i in range(len(table.header)))
    lines = [
        "| " + " | ".join(escape_markdown(cell) for cell in row) + " |"
        for row in (table.header, *table.rows)
    ]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return [*lines, "", escape_markdown(table.note)] if table.note else lines
