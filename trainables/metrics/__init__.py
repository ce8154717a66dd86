"""Metrics by name: official scores, checked against XTREME's own."""

from __future__ import annotations

from trainables.metrics.answers import Mlqa, Squad, SquadV2
from trainables.metrics.base import Metric, Values
from trainables.metrics.golds import gold_labels
from trainables.metrics.labels import Accuracy, SeqevalF1, TokenAccuracy
from trainables.metrics.ranking import BuccF1, MeanAveragePrecision, RetrievalAccuracy

__all__ = ["METRICS", "Metric", "Values", "gold_labels"]

METRICS: dict[str, Metric] = {
    "accuracy": Accuracy(),
    "token_accuracy": TokenAccuracy(),
    "seqeval_f1": SeqevalF1(),
    "squad": Squad(),
    "squad_v2": SquadV2(),
    "mlqa": Mlqa(),
    "retrieval_accuracy": RetrievalAccuracy(),
    "bucc_f1": BuccF1(),
    "map_at_20": MeanAveragePrecision(depth=20),
}
