"""The answer to a research question: a sentence, the estimates it rests on, the rows behind them.

An answer is "yes" or "no" only where an interval says so; everything else is not decided by the
run, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.intervals import Estimate
from analysis.wording import number

#: What is said where a run does not decide a question.
NOT_DECIDED = "not decided by this run"

#: That all intervals of an answer's findings hold at once.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Finding:
    """One quantity that an answer rests on.

    Attributes:
        what: What was estimated, in words.
        estimate: The estimate; its interval is one of those that hold together.
        unit: Of the estimate: points, points a tenfold, or empty for shares and correlations.
        reason: Why it has no interval, or another thing to know about it; may be empty.
    """

    what: str
    estimate: Estimate
    unit: str = "points"
    reason: str = ""

    @property
    def verdict(self) -> str:
        """``above 0``, ``below 0`` or ``not decided``."""
        decided = self.estimate.verdict
        return {"better": "above 0", "worse": "below 0"}.get(decided, decided)

    @property
    def is_above(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.verdict == "above 0"

    @property
    def is_below(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.verdict == "below 0"

    def __str__(self) -> str:
        """Write the estimate with its interval, as in a sentence."""
        if math.isnan(self.estimate.mean):
            return f"unknown ({self.reason})" if self.reason else "unknown"
        digits = self._text(self.estimate.mean)
        value = f"{digits} {self.unit}".rstrip()
        if math.isnan(self.estimate.low):
            return f"{value} ({self.reason or 'no interval'})"
        interval = f"{self._text(self.estimate.low)} to {self._text(self.estimate.high)}"
        return f"{value} (interval {interval})"

    def _text(self, value: float) -> str:
        return number(value, sign=True) if self.unit else f"{value:+.2f}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run says about a research question.

    Attributes:
        name: Name of the question, as in the study's key ``question``.
        question: The question, in words.
        sentence: The answer, a line a target; holds ``NOT_DECIDED`` for each part that is not
            decided.
        findings: What it rests on; their intervals hold together with ``CONFIDENCE``.
        rows: The rows behind it, a frame; each of its intervals holds alone.
        caveats: What to know before quoting it.
        shown: The rows laid out for a reader, a frame of text; the rows themselves when ``None``.
    """

    name: str
    question: str
    sentence: str
    findings: tuple[Finding, ...]
    rows: pd.DataFrame
    caveats: tuple[str, ...] = ()
    shown: pd.DataFrame | None = None

    @property
    def is_decided(self) -> bool:
        """Whether no part of the answer is left undecided."""
        return NOT_DECIDED not in self.sentence


def level(num_findings: int, confidence: float = CONFIDENCE) -> float:
    """Return the coverage of each of several intervals that together have ``confidence``.

    Source: Bonferroni's inequality; findings of one run depend on one another in unknown ways.

    >>> round(level(2), 3)
    0.975
    """
    return 1 - (1 - confidence) / max(1, num_findings)


def undecided(what: str, reason: str) -> str:
    """Write the sentence for a part that is not decided.

    >>> undecided("udpos", "one seed only")
    'udpos: not decided by this run (one seed only).'
    """
    return f"{what}: {NOT_DECIDED} ({reason})."


def why_open(finding: Finding) -> str:
    """Say why a finding decides nothing."""
    if math.isnan(finding.estimate.low):
        return finding.reason or "no interval"
    if finding.estimate.low == finding.estimate.high == 0:
        return "all scores are the same, with and without: the model has learned nothing of it"
    # The target that begins it is named by the sentence already.
    what = finding.what.rpartition(": ")[2]
    return f"{what}: {finding}, which reaches 0"


def dev_caveat(languages: Collection[str]) -> list[str]:
    """Return the caveat of languages whose development set stands in for a test set, if any."""
    which = listed(sorted(languages), 20)
    return [f"Development sets stand in for test sets in {which}."] if languages else []


def listed(names: Sequence[str], most: int = 8) -> str:
    """Join names for a sentence; of more than ``most``, the first ones and their number.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
