"""Published figures that a run's own stand beside."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.average import AVERAGE

PHANG = "Phang et al. 2020, arXiv:2005.13013"


@dataclass(frozen=True, slots=True)
class Published:
    """One published figure.

    Attributes:
        row: The intermediate task; ``MULTI_TASK``, or ``BEST`` for the best task per target.
        target: The target, or ``AVERAGE`` over XTREME.
        gain: Over XLM-R Large without intermediate task, in points.
        what: What it is of, for the table's note.
    """

    row: str
    target: str
    gain: float
    what: str


MULTI_TASK, BEST = "all tasks at once", "best per target"

_DEV = "average over XTREME, development sets"
_TEST = "XTREME test, X-STILTs against XLM-R Large"


def _test(target: str, stilts: float, large: float) -> Published:
    return Published(BEST, target, round(stilts - large, 1), _TEST)


#: Nine tasks, XLM-R Large. Tasks by their names in the catalogue.
PUBLISHED = (
    Published("squad1", AVERAGE, 8.2, _DEV),
    Published("mnli", AVERAGE, 7.5, _DEV),
    Published("hellaswag", AVERAGE, 7.0, _DEV),
    Published(MULTI_TASK, AVERAGE, 8.7, _DEV),
    Published(BEST, AVERAGE, 5.4, "average over XTREME, the abstract's figure"),
    _test("xnli", 80.4, 79.2),
    _test("pawsx", 87.7, 86.4),
    _test("panx", 64.7, 65.4),
    _test("xquad", 77.2, 76.6),
    _test("mlqa", 72.3, 71.6),
    _test("tydiqa", 76.0, 65.1),
)


def published_gain(row: str, target: str) -> float | None:
    """Return the published gain of a row on a target; ``None`` where there is none at hand."""
    for figure in PUBLISHED:
        if (figure.row, figure.target) == (row, target):
            return figure.gain
    return None
