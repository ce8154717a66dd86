"""Made-up training sets of rows of a wanted length, in the official layout, for the benchmarks.

A machine that is lent for an hour need not get any data first: what a step costs depends on the
lengths alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

#: The catalogue's task for rows of a length at most, and the special tokens of its rows.
TASKS = {128: ("xnli", 4), 384: ("squad1", 4)}
ROWS = ("full", "mixed")
QUESTION_WORDS = 12
NUM_WORDS = 400
LABELS = ("entailment", "neutral", "contradiction")


def task_of(length: int) -> str:
    """Return the task whose rows may have so many tokens."""
    return next(task for longest, (task, _) in sorted(TASKS.items()) if length <= longest)


def write_texts(root: Path, length: int, rows: str, count: int) -> None:
    """Write the training set of ``task_of(length)``.

    Args:
        root: Folder of the official files.
        length: Tokens of the longest rows.
        rows: ``full``, all of that length; or ``mixed``, a third of it in the mean, as the pairs of
            a real entailment set are: most are short, a few are cut.
        count: Examples.
    """
    rng = np.random.default_rng(0)
    special = next(special for longest, (_, special) in sorted(TASKS.items()) if length <= longest)
    room = length - special - QUESTION_WORDS
    words = _words(rng)

    def texts() -> Iterator[tuple[str, str]]:
        for _ in range(count):
            size = room
            if rows == "mixed":
                size = int(min(room, max(4, rng.gamma(2.0, length / 6))))
            drawn = rng.integers(0, len(words), QUESTION_WORDS + size)
            text = [words[i] for i in drawn]
            yield " ".join(text[:QUESTION_WORDS]), " ".join(text[QUESTION_WORDS:])

    if task_of(length) == "xnli":
        path = root / "xnli" / "train-en.tsv"
        lines = [
            f"{first}\t{second}\t{LABELS[i % len(LABELS)]}\n"
            for i, (first, second) in enumerate(texts())
        ]
        content = "".join(lines)
    else:
        path = root / "squad" / "train-v1.1.json"
        content = json.dumps({"version": "1.1", "data": [_article(list(texts()))]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _words(rng: np.random.Generator) -> list[str]:
    """Return words that a tokenizer which is trained on them has whole."""
    syllables = [first + second for first in "bdfgklmnprst" for second in "aeiou"]
    return sorted({"".join(rng.choice(syllables, 2)) for _ in range(2 * NUM_WORDS)})[:NUM_WORDS]


def _article(texts: list[tuple[str, str]]) -> dict[str, object]:
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": str(i),
                    "question": question,
                    "answers": [{"text": context.split(" ")[0], "answer_start": 0}],
                }
            ],
        }
        for i, (question, context) in enumerate(texts)
    ]
    return {"title": "made up", "paragraphs": paragraphs}
