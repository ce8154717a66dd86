"""LAReQA: find the sentences that answer a question in one pool of every language.

The files are XQuAD's with sentence boundaries (XQuAD-R). The same question has the same id in every
language, so a question's right answers are the answering sentences of all languages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.fields import Row
from trainables.readers.lines import read_document
from trainables.records import RetrievalRecord


def read_lareqa(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read the questions of the first file against the sentences of all files.

    The language of a file is its name. Candidates have the ids ``en_1_0`` (language, paragraph from
    1, sentence from 0), as in the release's own code.

    Source: Roy et al., arXiv:2004.05484.

    Raises:
        DataError: Not XQuAD-R's JSON, or an answer that begins in no sentence.
    """
    context.check_options()
    queries: dict[str, str] = {}
    candidates: dict[str, str] = {}
    right: dict[str, list[str]] = defaultdict(list)
    for path in context.paths:
        for number, paragraph in enumerate(_paragraphs(path), start=1):
            _read_paragraph(paragraph, f"{path.stem}_{number}", candidates, right)
            if path == context.paths[0]:
                queries |= {qa.text("id"): qa.text("question") for qa in paragraph.rows("qas")}
    for key, text in queries.items():
        gold = tuple(dict.fromkeys(right[key])) if context.labelled else None
        yield RetrievalRecord(key, text, True, gold)
    for key, text in candidates.items():
        yield RetrievalRecord(key, text, False, ())


def _paragraphs(path: Path) -> Iterator[Row]:
    document = read_document(path)
    if not isinstance(document, dict):
        raise malformed(path, "the top level", shorten(document), 'an object with "data"')
    for article in Row(document, path, "").rows("data"):
        yield from article.rows("paragraphs")


def _read_paragraph(
    paragraph: Row, name: str, candidates: dict[str, str], right: dict[str, list[str]]
) -> None:
    context = paragraph.text("context")
    breaks = []
    for index, pair in enumerate(paragraph.members("sentence_breaks")):
        if not (
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, int) for end in pair)
        ):
            place = f"{paragraph.place}.sentence_breaks[{index}]"
            raise malformed(paragraph.path, place, shorten(pair), "two character positions")
        breaks.append((pair[0], pair[1]))
        candidates[f"{name}_{index}"] = context[pair[0] : pair[1]]
    for question in paragraph.rows("qas"):
        for answer in question.rows("answers"):
            start = answer.integer("answer_start")
            sentence = next((i for i, (a, b) in enumerate(breaks) if a <= start < b), None)
            if sentence is None:
                found = f"an answer at character {start}"
                raise malformed(answer.path, answer.place, found, "one inside a sentence")
            right[question.text("id")].append(f"{name}_{sentence}")
