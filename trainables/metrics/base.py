"""What a metric is: predictions and golds of one language in, values from 0 to 100 out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from spaces.errors import InputError

Values = dict[str, float]


class Metric(Protocol):
    """A metric of one task in one language; the task's score is the mean over languages.

    The types by format, all keyed by record id: classification, the label's name; tagging, a
    sequence of tags; question answering, the answer's text, against a sequence of gold texts;
    multiple choice, the index of the choice; retrieval, candidate ids with the best first, against
    the ids of the right candidates.

    Attributes:
        headline: The values whose plain mean is the task's score; others are there to be looked at.
    """

    headline: tuple[str, ...]

    @property
    def needs_dev(self) -> bool:
        """Whether it has a setting that belongs to the dev set and is still open."""
        return False

    def calibrated(self, predictions: Mapping[str, Any], golds: Mapping[str, Any]) -> Metric:
        """Return the metric with its setting fixed as is best on a dev set; itself if it has none.

        Args:
            predictions: Those of the dev set, by record id.
            golds: Those of the dev set, by record id.
        """
        return self

    def submitted(self, predictions: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the predictions that count, which is what a submission holds: all, mostly."""
        return predictions

    def compute(
        self, predictions: Mapping[str, Any], golds: Mapping[str, Any], language: str
    ) -> Values:
        """Score one language.

        Args:
            predictions: By record id; an example without one counts as wrong.
            golds: By record id; never empty.
            language: Two-letter code.

        Returns:
            Named values, 0 to 100.

        Raises:
            InputError: No golds, or predictions for records that do not exist.
        """
        ...

    def primary(self, values: Mapping[str, float]) -> float:
        """Return the one figure that counts, 0 to 100: the mean of the headline values."""
        return sum(values[name] for name in self.headline) / len(self.headline)


def check_ids(predictions: Mapping[str, Any], golds: Mapping[str, Any]) -> None:
    """Refuse to score nothing, or predictions that belong to other records.

    Raises:
        InputError: Either is the case.
    """
    if not golds:
        raise InputError("there is nothing to score: no gold labels")
    strangers = [key for key in predictions if key not in golds]
    if strangers:
        raise InputError(
            f"{len(strangers)} predictions are for unknown records, the first for {strangers[0]!r}"
        )


def percent(part: float, whole: float) -> float:
    """Return ``part`` of ``whole`` in percent, 0 where the whole is.

    >>> percent(1, 4)
    25.0
    """
    return 100.0 * part / whole if whole else 0.0
