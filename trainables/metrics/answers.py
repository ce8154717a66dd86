"""Metrics over answer texts: SQuAD 1.1, SQuAD 2.0 and MLQA.

All compare normalised texts: exact match, and F1 over their tokens, the best over the golds. They
differ in the normalisation and in what counts as "no answer".
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from spaces.errors import InputError
from trainables.metrics.base import Metric, Values, check_ids, percent

_ENGLISH_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)

#: MLQA's articles. The Arabic one is a prefix: it is cut off wherever its letters stand.
_ARTICLES = {
    "en": _ENGLISH_ARTICLES,
    "es": re.compile(r"\b(?:un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(?:của|là|cái|chiếc|những)\b"),
    "de": re.compile(r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "ar": re.compile("\u0627\u0644"),
}
#: Characters that MLQA takes as words of their own in Chinese.
_HAN = re.compile(r"([\u4e00-\u9fa5])")


def squad_tokens(text: str) -> list[str]:
    """Normalise as SQuAD 1.1 does: lower case, no ASCII punctuation, no English articles.

    Source: Rajpurkar et al., arXiv:1606.05250.

    >>> squad_tokens("The  cat, a dog!")
    ['cat', 'dog']
    """
    bare = text.lower().translate(_ASCII_PUNCTUATION)
    return _ENGLISH_ARTICLES.sub(" ", bare).split()


def mlqa_tokens(text: str, language: str) -> list[str]:
    """Normalise as MLQA does: lower case, no Unicode punctuation, no articles of the language.

    Chinese characters are tokens of their own. Other languages than MLQA's seven lose no articles.

    Source: Lewis et al., arXiv:1910.07475.

    >>> mlqa_tokens("«Das Haus» der Kunst", "de")
    ['haus', 'kunst']
    >>> mlqa_tokens("第2届世界杯", "zh")
    ['第', '2', '届', '世', '界', '杯']
    """
    bare = text.lower().translate(_unicode_punctuation())
    articles = _ARTICLES.get(language)
    if articles is not None:
        bare = articles.sub(" ", bare)
    if language == "zh":
        bare = _HAN.sub(r" \1 ", bare)
    return bare.split()


@cache
def _unicode_punctuation() -> dict[int, None]:
    category = unicodedata.category
    marks = dict.fromkeys(i for i in range(sys.maxunicode) if category(chr(i)).startswith("P"))
    return marks | dict.fromkeys(map(ord, string.punctuation))


def token_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """Return the F1 of two bags of tokens, 0 to 1; 0 where they share none.

    >>> token_f1(["a", "b"], ["b", "c"])
    0.5
    """
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def _best(predicted: list[str], golds: Sequence[list[str]]) -> tuple[float, float]:
    """Return exact match and F1, 0 to 1, each against the gold that suits it best."""
    return float(predicted in golds), max(token_f1(predicted, gold) for gold in golds)


class Squad(Metric):
    """Exact match and F1 of SQuAD 1.1, which XTREME applies to every language of XQuAD and TyDi QA.

    Predictions for unknown ids are ignored, as the official script does.
    """

    headline = ("exact_match", "f1")

    def tokens(self, text: str, language: str) -> list[str]:
        """Return the normalised tokens that texts are compared by."""
        return squad_tokens(text)

    def compute(
        self,
        predictions: Mapping[str, str],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``exact_match`` and ``f1``.

        Raises:
            InputError: No golds, or a question without any.
        """
        check_ids({}, golds)
        scores = []
        for key, texts in golds.items():
            if not texts:
                raise InputError(f"question {key!r} has no gold answer; use the metric 'squad_v2'")
            if key in predictions:
                tokens = self.tokens(predictions[key], language)
                scores.append(_best(tokens, [self.tokens(text, language) for text in texts]))
        return _named("", scores, len(golds))


class Mlqa(Squad):
    """Exact match and F1 under MLQA's own normalisation."""

    def tokens(self, text: str, language: str) -> list[str]:
        """Return the normalised tokens that texts are compared by."""
        return mlqa_tokens(text, language)


class SquadV2(Metric):
    """Exact match and F1 of SQuAD 2.0: an empty gold wants an empty answer.

    Deviation from the official script: a question without a prediction counts as wrong, as in SQuAD
    1.1, where the script leaves it out of the mean.

    Source: Rajpurkar et al., arXiv:1806.03822.
    """

    headline = ("exact_match", "f1")

    def compute(
        self,
        predictions: Mapping[str, str],
        golds: Mapping[str, Sequence[str]],
        language: str,
    ) -> Values:
        """Return ``exact_match`` and ``f1``, and both over ``answerable`` questions and the others.

        A side that has no questions is left out.
        """
        check_ids({}, golds)
        scores: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for key, texts in golds.items():
            # A gold that vanishes under normalisation is no answer, as in the official script.
            real = [tokens for tokens in map(squad_tokens, texts) if tokens]
            one = (0.0, 0.0)
            if key in predictions:
                tokens = squad_tokens(predictions[key])
                silent = float(not tokens)
                one = _best(tokens, real) if real else (silent, silent)
            scores[bool(real)].append(one)
        values = _named("", scores[True] + scores[False], len(golds))
        for side, name in ((True, "answerable_"), (False, "unanswerable_")):
            if scores[side]:
                values |= _named(name, scores[side], len(scores[side]))
        return values


def _named(prefix: str, scores: list[tuple[float, float]], count: int) -> Values:
    """Return the means over ``count`` questions, of which those without a score are wrong."""
    return {
        f"{prefix}exact_match": percent(sum(exact for exact, _ in scores), count),
        f"{prefix}f1": percent(sum(f1 for _, f1 in scores), count),
    }
