"""LAReQA: find the sentences that answer a question in one pool of every language.

The evaluation files are XQuAD's with sentence boundaries (XQuAD-R). The same question has the same
id in every language, so a question's right answers are the answering sentences of all languages.
Training is on pairs of a question and its answering sentence in SQuAD 1.1.

Source: Roy et al., arXiv:2004.05484, and XTREME-R, arXiv:2104.07412. As in XTREME-R's baseline a
candidate is the sentence followed by its whole paragraph, so that it can be told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.fields import Row
from trainables.readers.sentences import split_sentences
from trainables.readers.squad import check_answers, read_answer, read_paragraphs
from trainables.records import RetrievalRecord

Span = tuple[int, int]
BETWEEN = "the answer begins in no sentence"


def read_lareqa(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read the questions of the first file against the sentences of all files.

    The language of a file is its name. Candidates have the ids ``en_1_0`` (language, paragraph from
    1, sentence from 0), as in the release's own code. A question whose answer begins in no
    sentence of a language is left out there, and counted, as that code does.

    Raises:
        DataError: Not XQuAD-R's JSON.
    """
    context.check_options()
    queries: dict[str, str] = {}
    candidates: dict[str, str] = {}
    right: dict[str, list[str]] = defaultdict(list)
    for path in context.paths:
        for number, paragraph in enumerate(read_paragraphs(path), start=1):
            passage = paragraph.text("context")
            spans = _breaks(paragraph, passage)
            name, answered = f"{path.stem}_{number}", False
            for question in paragraph.rows("qas"):
                key = question.text("id")
                sentence = _answering(question, passage, spans, context)
                if sentence is None:
                    context.skip(BETWEEN)
                    continue
                answered = True
                right[key].append(f"{name}_{sentence}")
                if path == context.paths[0]:
                    queries[key] = question.text("question")
            if answered:
                for index, span in enumerate(spans):
                    candidates[f"{name}_{index}"] = _candidate(passage, span)
    for key, text in queries.items():
        gold = tuple(dict.fromkeys(right[key])) if context.labelled else None
        yield RetrievalRecord(key, text, True, gold)
    for key, text in candidates.items():
        yield RetrievalRecord(key, text, False, ())


def read_squad_sentences(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read SQuAD 1.1 as questions, each before the sentence that answers it.

    Of several answers the first counts. Sentences are inferred (``sentences``) and have the ids
    ``1_0`` (paragraph from 1, sentence from 0). In training only answering sentences are
    candidates; otherwise all sentences are, so that there is something to search in. A question
    whose answer begins in no sentence is left out and counted.

    Options: ``version`` (as for ``read_squad``).

    Raises:
        DataError: As ``read_squad``.
    """
    context.check_options("version")
    training = context.split == "train"
    paragraphs = read_paragraphs(context.path, context.option("version", ""))
    for number, paragraph in enumerate(paragraphs, start=1):
        passage = paragraph.text("context")
        spans = split_sentences(passage)
        wanted = set() if training else set(range(len(spans)))
        for question in paragraph.rows("qas"):
            sentence = _answering(question, passage, spans, context)
            if sentence is None:
                context.skip(BETWEEN)
                continue
            wanted.add(sentence)
            gold = (f"{number}_{sentence}",) if context.labelled else None
            yield RetrievalRecord(question.text("id"), question.text("question"), True, gold)
        for index in sorted(wanted):
            text = _candidate(passage, spans[index])
            yield RetrievalRecord(f"{number}_{index}", text, False, ())


def _candidate(passage: str, span: Span) -> str:
    return (passage[span[0] : span[1]] + passage).replace("\n", "")


def _answering(
    question: Row, passage: str, spans: Sequence[Span], context: ReadContext
) -> int | None:
    """Return the position of the sentence that the first answer begins in."""
    listed = [read_answer(answer) for answer in question.rows("answers")]
    answers = check_answers(listed, passage, question, context, impossible=False)
    assert answers  # without the options that let it return none
    start = answers[0].start
    return next((i for i, (begin, end) in enumerate(spans) if begin <= start < end), None)


def _breaks(paragraph: Row, passage: str) -> list[Span]:
    breaks = []
    for index, pair in enumerate(paragraph.members("sentence_breaks")):
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and all(isinstance(end, int) for end in pair)
            and 0 <= pair[0] <= pair[1] <= len(passage)
        ):
            place = f"{paragraph.place}.sentence_breaks[{index}]"
            raise malformed(paragraph.path, place, shorten(pair), "two positions in the context")
        breaks.append((pair[0], pair[1]))
    return breaks
