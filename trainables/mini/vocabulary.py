"""Trains the vocabulary of a Unigram tokenizer, the same one in every process.

A plain version of Kudo 2018 (arXiv:1804.10959): start from frequent substrings of words, segment
every word in its most probable way, re-estimate, drop the least used pieces, repeat. It counts
best segmentations only where the paper weighs all of them, which is enough for a few thousand
words and leaves nothing to the order of threads.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

WORD_START = "▁"
PUNCTUATION = ".?"
_LONGEST_PIECE = 12
_SEED_FACTOR = 6
_KEPT_SHARE = 0.8
_UNSEEN_COUNT = 0.5


def train_vocabulary(texts: Iterable[str], *, size: int) -> list[tuple[str, float]]:
    """Return pieces and their log probabilities, most probable first.

    Args:
        texts: Lines of text, words separated by spaces.
        size: Number of pieces; every single character is one of them.
    """
    words = Counter(word for text in texts for word in _words(text))
    characters = sorted({character for word in words for character in word})
    counts = _seed_pieces(words, size * _SEED_FACTOR)
    while True:
        for character in characters:
            counts.setdefault(character, _UNSEEN_COUNT)
        scores = _log_probabilities(counts)
        if len(scores) <= size:
            return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        counts = _used(words, scores)
        room = max(size - len(characters), int(len(scores) * _KEPT_SHARE) - len(characters))
        longer = [piece for piece in counts if len(piece) > 1]
        longer.sort(key=lambda piece: (-counts[piece] * (len(piece) - 1), piece))
        kept = {*characters, *longer[:room]}
        counts = {piece: count for piece, count in counts.items() if piece in kept}


def segment(word: str, scores: Mapping[str, float]) -> list[str]:
    """Cut a word into pieces in the most probable way (Viterbi).

    Args:
        word: The word, its start marked.
        scores: Log probability of every piece, all single characters included.

    Examples:
        >>> segment("abab", {"a": -3.0, "b": -3.0, "ab": -2.0})
        ['ab', 'ab']
    """
    best = [0.0] + [-math.inf] * len(word)
    starts = [0] * (len(word) + 1)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - _LONGEST_PIECE), end):
            score = scores.get(word[start:end])
            if score is not None and best[start] + score > best[end]:
                best[end], starts[end] = best[start] + score, start
    pieces = []
    end = len(word)
    while end:
        pieces.append(word[starts[end] : end])
        end = starts[end]
    return pieces[::-1]


def _words(text: str) -> Iterable[str]:
    for word in text.split():
        bare = word.rstrip(PUNCTUATION)
        yield WORD_START + bare
        yield from word[len(bare) :]


def _seed_pieces(words: Mapping[str, int], limit: int) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + _LONGEST_PIECE) + 1):
                counts[word[start:end]] += count
    order = sorted(counts, key=lambda piece: (-counts[piece] * len(piece), piece))
    return {piece: float(counts[piece]) for piece in order[:limit]}


def _used(words: Mapping[str, int], scores: Mapping[str, float]) -> dict[str, float]:
    counts: dict[str, float] = {}
    for word, count in words.items():
        for piece in segment(word, scores):
            counts[piece] = counts.get(piece, 0.0) + count
    return counts


def _log_probabilities(counts: Mapping[str, float]) -> dict[str, float]:
    total = math.log(sum(counts.values()))
    return {piece: math.log(count) - total for piece, count in counts.items()}
