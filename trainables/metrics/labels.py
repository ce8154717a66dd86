"""Metrics over labels: accuracy, of records and of tokens, and entity-level F1."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from spaces.errors import InputError
from trainables.metrics.base import Metric, Values, check_ids, percent

OUTSIDE = "O"


class Accuracy(Metric):
    """Share of records whose label, or choice, is right."""

    headline = ("accuracy",)

    def compute(
        self,
        predictions: Mapping[str, str | int],
        golds: Mapping[str, str | int],
        language: str,
    ) -> Values:
        """Return ``accuracy``."""
        check_ids(predictions, golds)
        right = sum(key in predictions and predictions[key] == gold for key, gold in golds.items())
        return {"accuracy": percent(right, len(golds))}


class TokenAccuracy(Metric):
    """Share of tokens whose tag is right; tokens without a prediction are wrong."""

    headline = ("accuracy",)

    def compute(
        self,
        predictions: Mapping[str, Sequence[str]],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``accuracy``."""
        check_ids(predictions, golds)
        return {"accuracy": token_accuracy(predictions, golds)}


class SeqevalF1(Metric):
    """Entity-level F1 as XTREME computes it, for entities and for parts of speech alike.

    Over parts of speech an entity is a run of equal tags, which is what ``seqeval`` makes of tags
    without a prefix. Deviation from calling ``seqeval`` 1.2 as it stands: it cuts the first letter
    off such tags, so that CCONJ and SCONJ fall together; they are told apart here, as they were by
    the ``seqeval`` 0.0.12 of XTREME's own figures.
    """

    headline = ("f1",)

    def compute(
        self,
        predictions: Mapping[str, Sequence[str]],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``f1``, ``precision``, ``recall`` and ``accuracy`` (of tokens).

        A prediction shorter than its sentence is filled up with ``O``, as long sentences are cut.
        """
        from seqeval.metrics import f1_score, precision_score, recall_score  # noqa: PLC0415

        check_ids(predictions, golds)
        gold_tags, predicted_tags = [], []
        for key, gold in golds.items():
            predicted = list(predictions.get(key, ()))
            if len(predicted) > len(gold):
                raise InputError(
                    f"record {key!r}: {len(predicted)} predicted tags for {len(gold)} tokens"
                )
            predicted += [OUTSIDE] * (len(gold) - len(predicted))
            gold_tags.append([_prefixed(tag) for tag in gold])
            predicted_tags.append([_prefixed(tag) for tag in predicted])
        with warnings.catch_warnings():
            # seqeval warns of every tag that is not of the IOB family, and of empty classes.
            warnings.simplefilter("ignore")
            scores = {
                name: 100.0 * float(score(gold_tags, predicted_tags, zero_division=0))
                for name, score in (
                    ("f1", f1_score),
                    ("precision", precision_score),
                    ("recall", recall_score),
                )
            }
        return scores | {"accuracy": token_accuracy(predictions, golds)}


def token_accuracy(
    predictions: Mapping[str, Sequence[str]], golds: Mapping[str, Sequence[str]]
) -> float:
    """Return the share of tokens with the right tag in percent."""
    right = sum(
        predicted == gold
        for key, tags in golds.items()
        for predicted, gold in zip(predictions.get(key, ()), tags, strict=False)
    )
    return percent(right, sum(len(tags) for tags in golds.values()))


def _prefixed(tag: str) -> str:
    """Write a tag without a prefix so that seqeval takes its letter and its whole as the type."""
    return tag if tag == OUTSIDE or "-" in tag or not tag else f"{tag[0]}-{tag}"
