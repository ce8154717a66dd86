"""Metrics over ranked candidates: retrieval accuracy, mAP@20 and BUCC's F1.

A prediction is a list of candidate ids with the best first. Where a score is needed it is a list of
``(id, score)`` instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.metrics.base import Metric, Values, check_ids, percent

Ranked = Sequence[str | tuple[str, float]]


class RetrievalAccuracy(Metric):
    """Share of queries whose first candidate is right (Tatoeba)."""

    headline = ("accuracy",)

    def compute(
        self,
        predictions: Mapping[str, Ranked],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``accuracy``."""
        check_ids(predictions, golds)
        right = 0
        for key, gold in golds.items():
            ranked = predictions.get(key, ())
            right += bool(ranked) and _identifier(ranked[0]) in gold
        return {"accuracy": percent(right, len(golds))}


@dataclass(frozen=True, slots=True)
class MeanAveragePrecision(Metric):
    """Mean average precision over the first ``depth`` candidates (XTREME-R).

    With one right candidate a query, as in Mewsli-X, it is the mean reciprocal rank cut at
    ``depth``. With several, average precision is divided by how many could have been found.

    Source: Ruder et al., arXiv:2104.07412; Roy et al., arXiv:2004.05484 (LAReQA).
    """

    headline = ("map",)

    depth: int = 20

    def compute(
        self,
        predictions: Mapping[str, Ranked],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``map``."""
        check_ids(predictions, golds)
        total = 0.0
        for key, gold in golds.items():
            right = set(gold)
            hits, precisions = 0, 0.0
            for rank, candidate in enumerate(predictions.get(key, ())[: self.depth], start=1):
                if _identifier(candidate) in right:
                    hits += 1
                    precisions += hits / rank
            total += precisions / min(len(right), self.depth) if right else 0.0
        return {"map": percent(total, len(golds))}


@dataclass(frozen=True, slots=True)
class BuccF1(Metric):
    """F1 of the pairs mined from two corpora; a query may have no translation.

    Each query's first candidate is a pair, mined if its score reaches the threshold. The threshold
    belongs to the dev set: ``calibrated`` finds it there, and the metric it returns is used on the
    test set. Without one, the best threshold for the golds at hand is taken; on a test set that is
    an upper bound.

    Source: Zweigenbaum et al., BUCC 2018; protocol of Hu et al., arXiv:2003.11080.
    """

    headline = ("f1",)

    threshold: float | None = None

    @property
    def needs_dev(self) -> bool:
        """Whether the threshold is still open."""
        return self.threshold is None

    def calibrated(
        self, predictions: Mapping[str, Ranked], golds: Mapping[str, Sequence[str]]
    ) -> BuccF1:
        """Return the metric with the threshold that is best on a dev set."""
        return BuccF1(best_threshold(predictions, golds))

    def submitted(self, predictions: Mapping[str, Ranked]) -> Mapping[str, Ranked]:
        """Return the mined pairs; every query's first candidate while the threshold is open."""
        threshold = float("-inf") if self.threshold is None else self.threshold
        return _mined(predictions, threshold)

    def compute(
        self,
        predictions: Mapping[str, Ranked],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``f1``, ``precision`` and ``recall``."""
        check_ids(predictions, golds)
        threshold = self.threshold
        if threshold is None:
            threshold = best_threshold(predictions, golds)
        mined = _mined(predictions, threshold)
        right = sum(_identifier(first) in golds[query] for query, (first,) in mined.items())
        num_gold = sum(len(gold) for gold in golds.values())
        return {
            "f1": percent(2 * right, len(mined) + num_gold),
            "precision": percent(right, len(mined)),
            "recall": percent(right, num_gold),
        }


def best_threshold(predictions: Mapping[str, Ranked], golds: Mapping[str, Sequence[str]]) -> float:
    """Return the score from which on pairs are mined for the best F1; the highest of equals.

    It lies half way between the last score that is mined and the next one, as in XTREME's script.
    Candidates without a score are always mined; minus infinity where nothing is predicted.
    """
    pairs = sorted(
        (
            (_score(ranked[0]), _identifier(ranked[0]) in golds.get(query, ()))
            for query, ranked in predictions.items()
            if ranked
        ),
        reverse=True,
    )
    num_gold = sum(len(gold) for gold in golds.values())
    best, threshold, right = -1.0, float("-inf"), 0
    for count, (score, is_right) in enumerate(pairs, start=1):
        right += is_right
        below = pairs[count][0] if count < len(pairs) else score
        ends_tie = count == len(pairs) or below != score
        f1 = 2 * right / (count + num_gold) if count + num_gold else 0.0
        if ends_tie and f1 > best:
            best, threshold = f1, (score + below) / 2
    return threshold


def _mined(predictions: Mapping[str, Ranked], threshold: float) -> dict[str, Ranked]:
    return {
        query: ranked[:1]
        for query, ranked in predictions.items()
        if ranked and _score(ranked[0]) >= threshold
    }


def _identifier(candidate: str | tuple[str, float]) -> str:
    return candidate if isinstance(candidate, str) else candidate[0]


def _score(candidate: str | tuple[str, float]) -> float:
    return float("inf") if isinstance(candidate, str) else candidate[1]
