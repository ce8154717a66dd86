"""How much of their words, or of their subwords, two tasks' training texts share.

Both are the weighted Jaccard index of relative frequencies p and q,

    sum_w min(p_w, q_w) / sum_w max(p_w, q_w),

which is 1 for equal distributions and 0 for disjoint vocabularies. Counting types alone would
compare little but the lengths of the texts: a few hundred paragraphs hold more types than a few
hundred sentences.

Source: Ruder and Plank 2017, arXiv:1707.05246, for measures on term distributions; Pires et al.
2019, arXiv:1906.01502, for subwords, where the index is over types.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.samples import Portion, texts_of
from trainables.similarity.subjects import Subject

_WORD = re.compile(r"\w+")


def weighted_jaccard(first: Mapping[Hashable, float], second: Mapping[Hashable, float]) -> float:
    """Return the weighted Jaccard index of two weightings; NaN if both are empty.

    >>> weighted_jaccard({"a": 0.5, "b": 0.5}, {"a": 0.25, "c": 0.75})
    0.14285714285714285
    """
    keys = first.keys() | second.keys()
    shared = sum(min(first.get(key, 0.0), second.get(key, 0.0)) for key in keys)
    total = sum(max(first.get(key, 0.0), second.get(key, 0.0)) for key in keys)
    return shared / total if total else float("nan")


def vocabulary_overlap(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Compare the words, in lower case, of two subjects.

    A word is a run of letters and digits, so a language written without spaces has long ones:
    ``subword_overlap`` is the fairer there.
    """

    def words(subject: Subject) -> dict[Hashable, float]:
        return _frequencies(bench.portions(subject), _words)

    first = bench.once("words", source, words)
    second = bench.once("words", target, words)
    return Outcome(weighted_jaccard(first, second), bench.num_examples(source, target))


def subword_overlap(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Compare the subwords of two subjects under the base model's tokenizer."""

    def pieces(text: str) -> Iterable[Hashable]:
        found: list[int] = bench.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def subwords(subject: Subject) -> dict[Hashable, float]:
        return _frequencies(bench.portions(subject), pieces)

    first = bench.once("subwords", source, subwords)
    second = bench.once("subwords", target, subwords)
    return Outcome(weighted_jaccard(first, second), bench.num_examples(source, target))


def _words(text: str) -> Iterable[Hashable]:
    return _WORD.findall(text.lower())


def _frequencies(
    portions: Iterable[Portion], split: Callable[[str], Iterable[Hashable]]
) -> dict[Hashable, float]:
    """Return relative frequencies, each portion weighing its share."""
    found: dict[Hashable, float] = {}
    for portion in portions:
        counts = Counter(
            part for record in portion.records for text in texts_of(record) for part in split(text)
        )
        for part, count in counts.items():
            found[part] = found.get(part, 0.0) + portion.share * count / counts.total()
    return found
