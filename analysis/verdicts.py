"""What a run decides, in words: never more than ``compare_best`` does.

The best sequence was picked by the scores it is compared by, so its answer uses the simultaneous
intervals, and the table below the answer shows the same ones.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.observations import NO_INTERMEDIATE
from analysis.sections import Table
from analysis.wording import clean, number, p_value, spell

_QUESTIONS = {
    "second": "the second best",
    "single": "the best single task",
    "none": "no intermediate task",
    "all": "all tasks at once",
}


SIMULTANEOUS = (
    "Intervals and p-values are simultaneous within a target and question: they allow for the best "
    "having been picked among all that ran on two seeds or more, and not for the number of targets."
)
#: The same below words, which have no p-values.
_PICKED = (
    "Each interval allows for the best having been picked among all that ran on two seeds or more, "
    "and not for the number of targets."
)

#: Characters of a line of printed words.
WIDTH = 88

NO_ANSWER = "No trial has finished at the full budget yet, so there is no answer."


class Comparisons(pd.DataFrame):
    """A frame of comparisons that prints as the answer in words; in all else an ordinary frame.

    Attributes:
        words: The answers, one a target; empty where a frame is printed as any other.
    """

    _metadata = ["words"]  # noqa: RUF012  (pandas' own way to keep an attribute)

    words: tuple[str, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, words: Sequence[str]) -> Comparisons:
        """Return a frame with its answers."""
        found = cls(frame)
        found.attrs.update(frame.attrs)
        found.words = tuple(words)
        return found

    def __str__(self) -> str:
        """Return the answers in words; ``repr`` and ``to_string`` are those of the frame."""
        if not self.words:
            return super().__str__()
        said = self.words if self["difference_low"].isna().all() else (*self.words, _PICKED)
        return "\n\n".join(textwrap.fill(text, WIDTH) for text in said)


def lead_of(best: dict[Any, Any]) -> str:
    """Say what a target's best sequence is, and how it scores.

    Args:
        best: Its row of ``leaderboard``.
    """
    name = spell(best["sequence"], best["baseline"])
    seeds = f"{best['num_seeds']} seed" + ("s" if best["num_seeds"] > 1 else "")
    return f"{clean(best['target'])}: {name}, {number(best['score'])} points ({seeds})."


def answer_of(best: dict[Any, Any], compared: pd.DataFrame, confidence: float = 0.95) -> str:
    """Say what a target's best sequence is, and what is decided of it.

    Args:
        best: Its row of ``leaderboard``.
        compared: The target's rows of ``compare_best``.
        confidence: Of the intervals in them.

    Returns:
        Sentences: the score, the differences with simultaneous intervals, and the verdicts.
    """
    score = lead_of(best)
    rows = {str(row["question"]): row for row in compared.to_dict("records")}
    level = f"{100 * confidence:g}%"
    if best["baseline"] == NO_INTERMEDIATE:
        return f"{score} No sequence of intermediate tasks scored higher. {_rivals(rows)}".strip()
    differences = [_difference(rows[kind], level) for kind in ("none", "all") if kind in rows]
    over = f"{'; '.join(differences)}." if differences else ""
    said = [score, over, _helps(rows.get("none")), _rivals(rows)]
    return " ".join(part for part in said if part)


def _difference(row: dict[Any, Any], level: str) -> str:
    reference = _QUESTIONS[row["question"]]
    difference, low, high = (row[f"difference{end}"] for end in ("", "_low", "_high"))
    if math.isnan(difference):
        return f"not comparable with {reference} (no seed in common)"
    if math.isnan(low):
        return f"{number(difference, sign=True)} over {reference} (one seed, no interval)"
    interval = f"{number(low, sign=True)} to {number(high, sign=True)}"
    return f"{number(difference, sign=True)} over {reference} ({level} interval {interval})"


def _helps(row: dict[Any, Any] | None) -> str:
    """Say whether intermediate training helps, as far as it is decided."""
    if row is None:
        return "Whether it helps is unknown: the target alone did not run."
    if math.isnan(row["difference_low"]):
        return "Not confirmed: it has yet to be repeated on other seeds."
    if row["verdict"] == "better":
        return "It helps: the interval over no intermediate task lies above 0."
    if row["verdict"] == "worse":
        return "It hurts: the interval over no intermediate task lies below 0."
    return "Not shown to help: the interval over no intermediate task reaches 0."


def _rivals(rows: dict[str, dict[Any, Any]]) -> str:
    """Say whether the best is better than the second best and than the best single task."""
    by_verdict: dict[str, list[str]] = {}
    said: set[str] = set()
    for kind in ("second", "single"):
        row = rows.get(kind)
        if row is None or row["reference"] in said or not row["reference"]:
            continue
        said.add(row["reference"])
        name = f"{_QUESTIONS[kind]} ({spell(row['reference'])})"
        by_verdict.setdefault(row["verdict"], []).append(name)
    sentences = []
    for verdict, names in by_verdict.items():
        if verdict == "not decided":
            sentences.append(f"Whether it is better than {' or '.join(names)} is not decided.")
        else:
            sentences.append(f"It is {verdict} than {' and '.join(names)}.")
    return " ".join(sentences)


def comparisons_table(compared: pd.DataFrame) -> Table | None:
    """Write ``compare_best`` as a table of text.

    Args:
        compared: Its rows.

    Returns:
        ``None`` if there is nothing to compare.
    """
    if compared.empty:
        return None
    rows = tuple(
        (
            clean(row["target"]),
            f"{_QUESTIONS[row['question']]} ({spell(row['reference'])})"
            if row["question"] in ("second", "single")
            else _QUESTIONS[row["question"]],
            row["verdict"],
            number(row["difference"], sign=True),
            _interval(row["difference_low"], row["difference_high"]),
            p_value(row["p_adjusted"]),
            str(row["num_pairs"]),
        )
        for row in compared.to_dict("records")
    )
    header = ("target", "against", "the best is", "difference", "95% interval", "p", "seeds")
    return Table(header, rows, num_left=3, note=SIMULTANEOUS)


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{number(low, sign=True)} to {number(high, sign=True)}"
