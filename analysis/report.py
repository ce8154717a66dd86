"""Render the findings of a run: for a terminal, and as files (page, Markdown, LaTeX, CSV)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from analysis.comparisons import compare_best
from analysis.findings import TOP, findings
from analysis.frames import Run
from analysis.languages import language_scores
from analysis.order_effects import precedence_effects
from analysis.page import all_pictures, write_page
from analysis.plots.picture import INTERACTIVE, STATIC
from analysis.questions import answer_question
from analysis.questions.sections import question_sections
from analysis.sections import Section, Table
from analysis.statistics import cost_summary, leaderboard
from analysis.transfer import transfer_matrix
from analysis.wording import clean, escape_markdown
from analysis.writers import to_latex
from spaces.errors import InputError
from spaces.tables import TABLES

#: Words up to so many letters are kept whole, as far as a narrow terminal has room.
KEPT = range(24, 7, -1)
#: Between two columns.
GAP = 2

_CAPTIONS = {
    "leaderboard": "the best sequences and the references.",
    "comparisons": "the best sequence against others, all comparisons accounted for.",
    "transfer": "the gain of each intermediate task alone.",
    "order": "what it is worth to have the first stage before the second.",
}


def render_text(run: Run) -> Group:
    """Render the report of a run for ``rich.console.Console.print``.

    Names and errors of the run are printed as they are: nothing in them is read as markup.
    """
    parts: list[RenderableType] = []
    for section in (*findings(run), *question_sections(run)[:1]):
        parts += _rich_section(section)
    return Group(*parts)


def render_markdown(run: Run) -> str:
    """Render the report of a run as Markdown."""
    lines: list[str] = []
    for depth, section in enumerate((*findings(run), *question_sections(run))):
        lines += [f"{'#' if depth == 0 else '##'} {escape_markdown(section.title)}", ""]
        for paragraph in section.paragraphs:
            lines += [escape_markdown(paragraph), ""]
        if section.table:
            lines += [*_markdown_table(section.table), ""]
        if section.code:
            lines += [*(f"    {line}".rstrip() for line in section.code), ""]
    return "\n".join(lines).rstrip() + "\n"


def render_latex(run: Run) -> str:
    r"""Render the tables of a run that a paper needs as LaTeX.

    Returns:
        A file to ``\input``, for ``\usepackage{booktabs}`` and T1 fonts: per target the best
        sequences with the references, what the best is compared with, each task alone, and the
        order of two stages, with intervals; last, what answers the research question, if any.
    """
    board = leaderboard(run)
    tables = {
        "leaderboard": (
            board[(board["rank"] <= TOP) | (board["baseline"] != "")],
            ("rank", "sequence", "num_seeds", *_interval("score"), *_interval("gain")),
        ),
        "comparisons": (
            compare_best(run),
            ("question", "reference", *_interval("difference"), "p_adjusted", "verdict"),
        ),
        "transfer": (transfer_matrix(run), ("task", *_interval("gain"), "p_holm")),
        "order": (
            precedence_effects(run),
            ("first", "second", *_interval("effect"), "p_holm"),
        ),
    }
    parts = ["% Needs booktabs and T1 fonts. Intervals are 95%.\n"]
    for name, (frame, columns) in tables.items():
        for number, (target, rows) in enumerate(frame.groupby("target", sort=False), start=1):
            caption = f"{clean(target)}: {_CAPTIONS[name]}"
            label = f"tab:{name}-{number}"
            parts.append(to_latex(rows, columns=columns, caption=caption, label=label))
    answer = answer_question(run)
    if answer is not None:
        shown = answer.rows if answer.shown is None else answer.shown
        parts.append(to_latex(shown, caption=clean(answer.question), label="tab:question"))
    return "\n".join(parts)


def write_report(run: Run, out: Path, pictures: str = "") -> list[Path]:
    """Write the report, its tables and perhaps its pictures into a folder.

    Args:
        run: The run.
        out: The folder; made if need be, files of the same names in it are replaced.
        pictures: A kind of ``check_pictures``, to write every picture to a file of its own; empty
            for none.

    Returns:
        The files: ``report.html``, one page that opens offline; ``report.md``; ``report.tex``, its
        tables alone; ``leaderboard.csv``, ``languages.csv`` and ``cost.csv`` (see
        ``analysis.statistics`` and ``analysis.languages``); ``trials.csv``, ``scores.csv``,
        ``stages.csv`` and ``rungs.csv`` (see ``spaces.tables``); ``question.csv``, the rows behind
        the answer to the study's research question, if it asks one.

    Raises:
        InputError: ``out`` is a file, or there are no such pictures.
    """
    check_pictures(pictures)
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
    answer = answer_question(run)
    if answer is not None:
        frames["question"] = answer.rows
    report = out / "report.md"
    report.write_text(render_markdown(run), encoding="utf-8")
    tables = out / "report.tex"
    tables.write_text(render_latex(run), encoding="utf-8")
    written = [write_page(run, out / "report.html"), report, tables]
    if pictures:
        written += [picture.save(out / f"{name}.{pictures}") for name, picture in all_pictures(run)]
    for name, frame in frames.items():
        path = out / f"{name}.csv"
        frame.to_csv(path, index=False)
        written.append(path)
    return written


def check_pictures(kind: str) -> None:
    """Check that pictures can be written as files of a kind.

    Args:
        kind: ``pdf``, ``svg``, ``png``, ``eps`` or ``html``; empty for none.

    Raises:
        InputError: They cannot.
    """
    if kind and f".{kind}" not in STATIC + INTERACTIVE:
        known = ", ".join(ending[1:] for ending in STATIC + INTERACTIVE)
        raise InputError(f"--pictures {kind}: is none of {known}.")


def _interval(name: str) -> tuple[str, str, str]:
    """Return a column's name with those of its interval's ends: they become one cell."""
    return name, f"{name}_low", f"{name}_high"


def _rich_section(section: Section) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(section.title, style="bold")]
    parts += [Padding(Text(paragraph), (0, 0, 0, 2)) for paragraph in section.paragraphs]
    if section.table:
        parts.append(Padding(_Fitted(section.table), (0, 0, 0, 1)))
        if section.table.note:
            parts.append(Padding(Text(section.table.note, style="dim"), (0, 0, 0, 2)))
    if section.code:
        parts.append(Padding(Text("\n".join(section.code), style="cyan"), (0, 0, 0, 2)))
    return [*parts, Text("")]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A table whose words break only where the terminal is too narrow for them."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = (_widths(self.table, options.max_width, kept) for kept in KEPT)
        yield _rich_table(self.table, next((found for found in widths if found), None))


def _widths(table: Table, most: int, kept: int) -> list[int] | None:
    """Return the columns' widths, words of up to ``kept`` letters whole; ``None`` if too wide."""
    least, full = [], []
    for index in range(len(table.header)):
        cells = [row[index] for row in (table.header, *table.rows)]
        full.append(max(map(len, cells)))
        pieces = [word for cell in cells for word in cell.split()]
        longest = max(map(len, pieces), default=1)
        least.append(min(longest, kept) if index < table.num_left else full[index])
    spare = most - sum(least) - GAP * (len(least) - 1)
    if spare < 0:
        return None
    # The narrowest columns first: what is left over is the widest's.
    for index in sorted(range(len(full)), key=lambda column: full[column]):
        more = min(full[index] - least[index], spare)
        least[index] += more
        spare -= more
    return least


def _rich_table(table: Table, widths: list[int] | None) -> RichTable:
    rendered = RichTable(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True
    )
    for index, name in enumerate(table.header):
        words = index < table.num_left
        rendered.add_column(
            Text(name),
            justify="left" if words else "right",
            overflow="fold" if words else "ellipsis",
            no_wrap=not words,
            width=widths[index] if widths else None,
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
