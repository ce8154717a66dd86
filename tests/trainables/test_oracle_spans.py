"""What a perfect model would score on real question answering files.

The gold subwords of every window are taken as the model's choice, then decoded and scored as any
prediction is. Exact match is 100, but for answers that the file itself puts out of reach: each is
held against one of the causes below, found from the file and the tokenizer alone.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from spaces.tasks import load_catalogue
from tests.trainables import oracle
from trainables.formats import question_answering
from trainables.formats.base import Encoding
from trainables.metrics import METRICS, gold_labels
from trainables.readers import READERS, ReadContext
from trainables.records import Answer, QuestionRecord

ROOT = os.environ.get("TASKORDER_DATA_ROOT")
real = pytest.mark.skipif(not ROOT, reason="needs TASKORDER_DATA_ROOT with the releases")

#: The answer begins or ends in the middle of a subword (``1987`` cut to ``198``).
INSIDE_A_SUBWORD = "inside a subword"
#: The answer has more subwords than an answer may have.
TOO_LONG = "too long"

LAYOUTS = {
    "xquad/*.json": ("xquad", {}),
    "mlqa/MLQA_V1/*/*.json": ("mlqa", {}),
    "tydiqa/labelled-dev/*.json": ("tydiqa", {}),
    "tydiqa/tydiqa-goldp-v1.1-*/*.json": ("tydiqa", {}),
    "squad_v1.1/*.json": ("squad1", {}),
    "squad_v2.0/*.json": ("squad2", {"unanswerable": True}),
}
FILES = {
    str(path.relative_to(ROOT)): (path, *layout)
    for pattern, layout in LAYOUTS.items()
    for path in sorted(Path(ROOT or "nowhere").glob(pattern))
}


@dataclass(frozen=True)
class Outcome:
    """What the oracle comes to on one file."""

    num_questions: int
    exact_match: float
    f1: float
    misses: dict[str, int]
    unexplained: tuple[str, ...]
    too_long: tuple[QuestionRecord, ...]


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    texts = dict.fromkeys(oracle.squad_texts([path for path, _, _ in FILES.values()]))
    return oracle.make_tokenizer(list(texts), 16_000)


def read(name: str) -> list[QuestionRecord]:
    """Return a file's questions; where it repeats an id, numbered."""
    path, _, options = FILES[name]
    context = ReadContext((path,), "dev", "en", options=options)
    seen: Counter[str] = Counter()
    records = []
    for record in READERS["squad"](context):
        seen[record.id] += 1
        records.append(dataclasses.replace(record, id=f"{record.id}#{seen[record.id]}"))
    return records


def language_of(name: str) -> str:
    """Return the language MLQA's normalisation takes: that of the context."""
    return name.split("context-")[1][:2] if "context-" in name else "en"


def measure(name: str) -> Outcome:
    """Run the oracle on a file and explain its misses."""
    _, task_name, _ = FILES[name]
    task = load_catalogue()[task_name]
    task = oracle.with_options(task, no_answer=task.metric == "squad_v2")
    assert (task.max_length, task.doc_stride) == (384, 128)
    records = [record for record in read(name) if record.answers is not None]
    if not records:
        return Outcome(0, 0.0, 0.0, {}, (), ())
    predictions = oracle.predict(records, Encoding(tokenizer(), task, ()))
    golds, metric, language = gold_labels(records), METRICS[task.metric], language_of(name)
    values = metric.compute(predictions, golds, language)
    causes: Counter[str] = Counter()
    unexplained, too_long = [], []
    for record in records:
        key, predicted = record.id, predictions[record.id]
        one = metric.compute({key: predicted}, {key: golds[key]}, language)
        if one["exact_match"] < 100:
            cause = cause_of_miss(record, predicted)
            causes[cause] += bool(cause)
            if cause == TOO_LONG:
                too_long.append(record)
            if not cause:
                unexplained.append(f"{key}: {golds[key]} but {predicted!r}")
    return Outcome(
        len(records),
        values["exact_match"],
        values["f1"],
        {cause: count for cause, count in sorted(causes.items()) if count},
        tuple(unexplained),
        tuple(too_long),
    )


def cause_of_miss(
    record: QuestionRecord, predicted: str, limit: int = question_answering.MAX_ANSWER_TOKENS
) -> str:
    """Return why an answer cannot be recovered, or nothing where it should have been.

    The subwords are those of the passage alone; what the format made of them is not looked at.
    """
    held = subwords(record)
    if not held:
        return ""
    if len(held) > limit:
        return TOO_LONG
    begin, finish = span(record)
    low, high = held[0][0], held[-1][1]
    is_cut = low < begin or high > finish
    return INSIDE_A_SUBWORD if is_cut and predicted == record.context[low:high].strip() else ""


def span(record: QuestionRecord) -> tuple[int, int]:
    """Return where the first answer is in its passage; an empty span where there is none."""
    answer = (*(record.answers or ()), Answer("", 0))[0]
    return answer.start, answer.start + len(answer.text)


def subwords(record: QuestionRecord) -> list[tuple[int, int]]:
    """Return the characters of each subword of the passage that has part in the first answer."""
    begin, finish = span(record)
    encoded = tokenizer()(record.context, add_special_tokens=False, return_offsets_mapping=True)
    return [(low, high) for low, high in encoded["offset_mapping"] if high > begin and low < finish]


@real
@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_gold_answers_are_recovered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = measure(name)
    assert not outcome.unexplained
    if not outcome.num_questions:
        # XTREME's test files, whose answers are blanked.
        assert "-dev/tydiqa.goldp" in name
        return
    missed = 100 * sum(outcome.misses.values()) / outcome.num_questions
    assert outcome.exact_match == pytest.approx(100 - missed)
    assert outcome.misses.get(INSIDE_A_SUBWORD, 0) <= 0.03 * outcome.num_questions
    # Nothing but the limit keeps the long ones from being recovered, where a window has room.
    monkeypatch.setattr(question_answering, "MAX_ANSWER_TOKENS", 384)
    task = load_catalogue()[FILES[name][1]]
    predictions = oracle.predict(outcome.too_long, Encoding(tokenizer(), task, ()))
    for record in outcome.too_long:
        (begin, finish), predicted = span(record), predictions[record.id]
        if (
            predicted != record.context[begin:finish].strip()
            and len(subwords(record)) <= task.doc_stride
        ):
            assert cause_of_miss(record, predicted, limit=384) == INSIDE_A_SUBWORD


@real
def test_every_release_is_covered() -> None:
    assert {task for _, task, _ in FILES.values()} == {
        "xquad",
        "mlqa",
        "tydiqa",
        "squad1",
        "squad2",
    }


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("in oslo,[1]\u200b anna sees", "oslo,[1]\u200b"),
        ("anna sees oslo[2]\u200b[3]\u200b", "oslo[2]\u200b[3]\u200b"),
        ("anna\u200b sees oslo", "anna\u200b"),
        ("in  oslo  today", " oslo  "),
    ],
)
def test_an_answer_keeps_its_zero_width_characters_and_nothing_of_the_next_word(
    context: str, answer: str
) -> None:
    found = QuestionRecord("q", "where", context, (Answer(answer, context.index(answer)),))
    small = oracle.make_tokenizer(["in oslo anna sees where today , [ ] 1 2 3"] * 20, 200)
    task = load_catalogue()["xquad"]
    assert oracle.predict([found], Encoding(small, task, ())) == {"q": answer.strip()}


if __name__ == "__main__":
    print("| file | questions | exact match | F1 | inside a subword | too long |")
    print("|---|---|---|---|---|---|")
    for name in FILES:
        found = measure(name)
        counts = [found.misses.get(cause, 0) for cause in (INSIDE_A_SUBWORD, TOO_LONG)]
        values = [f"{found.exact_match:.2f}", f"{found.f1:.2f}", *map(str, counts)]
        print("| " + " | ".join([name, str(found.num_questions), *values]) + " |", flush=True)
