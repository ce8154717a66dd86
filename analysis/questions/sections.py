"""An answer as sections of the report."""

from __future__ import annotations

import math

import pandas as pd

from analysis.frames import Run
from analysis.page_parts import table_of
from analysis.questions.answer import CONFIDENCE, Answer, Finding
from analysis.sections import Section, Table
from analysis.wording import clean, number

#: Rows of the table behind an answer before it is cut; all are in ``question.csv``.
MAX_ROWS = 60
TITLE = "The research question"


def question_sections(run: Run) -> list[Section]:
    """Return the report's sections on the study's research question.

    Args:
        run: The run.

    Returns:
        The answer with what it rests on, and the rows behind it; nothing where the study asks no
        question.
    """
    from analysis.questions import answer_question  # noqa: PLC0415  (it loads the questions)

    found = answer_question(run)
    return [] if found is None else sections_of(found)


def sections_of(answer: Answer) -> list[Section]:
    """Write an answer as sections: words and tables of text."""
    note = (
        f"All intervals of this table hold at once with {CONFIDENCE:.0%}: the answer rests on them."
    )
    rows = tuple(
        (
            clean(f"{finding.what} ({finding.unit})" if finding.unit else finding.what),
            finding.verdict,
            clean(finding.reason),
            _value(finding, finding.estimate.mean),
            _interval(finding),
        )
        for finding in answer.findings
    )
    header = ("what", "it is", "note", "estimate", "interval")
    table = Table(header, rows, num_left=3, note=note) if rows else None
    parts = [
        Section(
            f"{TITLE}: {clean(answer.question)}",
            tuple(clean(line) for line in (*answer.sentence.splitlines(), *answer.caveats)),
            table,
        )
    ]
    frame = answer.rows if answer.shown is None else answer.shown
    if not frame.empty:
        if answer.shown is None:
            shown = table_of(with_intervals(frame), MAX_ROWS)
        else:
            shown = _laid_out(frame)
        about = "Each interval holds alone, with 95%."
        shown = Table(shown.header, shown.rows, shown.num_left, f"{about} {shown.note}".strip())
        parts.append(Section(f"{TITLE}: the rows behind the answer", table=shown))
    return parts


def with_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the ends of every interval into the cell of its estimate.

    Args:
        frame: A statistic, with columns such as ``gain``, ``gain_low`` and ``gain_high``.

    >>> frame = pd.DataFrame({"gain": [1.25], "gain_low": [0.5], "gain_high": [2.0]})
    >>> with_intervals(frame).to_dict("records")
    [{'gain': '+1.2 [+0.5, +2.0]'}]
    """
    merged = [str(name) for name in frame if {f"{name}_low", f"{name}_high"} <= set(frame.columns)]
    ends = [f"{name}_{end}" for name in merged for end in ("low", "high")]
    columns = {
        name: [
            _with_interval(*values)
            for values in zip(
                *(frame[column] for column in (name, f"{name}_low", f"{name}_high")), strict=True
            )
        ]
        for name in merged
    }
    return frame.drop(columns=ends).assign(**columns)


def _with_interval(value: float, low: float, high: float) -> str:
    text = number(value, sign=True)
    if math.isnan(low):
        return text
    return f"{text} [{number(low, sign=True)}, {number(high, sign=True)}]"


def _interval(finding: Finding) -> str:
    low, high = finding.estimate.low, finding.estimate.high
    return "-" if math.isnan(low) else f"{_value(finding, low)} to {_value(finding, high)}"


def _value(finding: Finding, value: float) -> str:
    if math.isnan(value):
        return "-"
    return number(value, sign=True) if finding.unit else f"{value:.2f}"


def _laid_out(frame: pd.DataFrame) -> Table:
    rows = tuple(tuple(clean(cell) for cell in row) for row in frame.itertuples(index=False))
    return Table(tuple(str(name) for name in frame.columns), rows, num_left=2)
