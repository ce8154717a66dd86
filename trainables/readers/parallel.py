"""Sentence retrieval: Tatoeba and BUCC. A query is in the language, a candidate in English."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from spaces.errors import DataError
from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.lines import read_lines
from trainables.records import RetrievalRecord


def read_aligned(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read two files whose lines translate each other (Tatoeba as LASER releases it).

    Takes the language's file and the English one. Queries have the ids ``q0``, ``q1``...,
    candidates ``c0``, ``c1``...

    Raises:
        DataError: A blank line, or files of different lengths.
    """
    context.check_options()
    source, english = _two(context)
    queries, candidates = _sentences(source), _sentences(english)
    _check_lengths(source, queries, english, candidates)
    gold = range(len(queries)) if context.labelled else None
    yield from _records(queries, candidates, gold)


def read_sorted(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read XTREME's rewriting of Tatoeba, whose English side is sorted and so not aligned.

    Takes the language's file and the sorted English one. The gold is not in them, so the records
    are unlabelled. A third file, the original English side, gives it back: the n-th query belongs
    to the n-th original sentence, and equal sentences keep their order, as the sort is stable.

    Raises:
        DataError: A blank line, different lengths, or an English side that is not a reordering of
            the original one.
    """
    context.check_options()
    if len(context.paths) not in (2, 3):
        raise DataError(f"sorted text is read from two or three files, not {len(context.paths)}.")
    source, english = context.paths[:2]
    queries, candidates = _sentences(source), _sentences(english)
    _check_lengths(source, queries, english, candidates)
    gold = None
    if len(context.paths) == 3:
        original = context.paths[2]
        sentences = _sentences(original)
        _check_lengths(original, sentences, english, candidates)
        gold = _positions(sentences, candidates, original, english)
    yield from _records(queries, candidates, gold if context.labelled else None)


def _positions(
    original: list[str], candidates: list[str], original_path: Path, path: Path
) -> list[int]:
    places: dict[str, list[int]] = defaultdict(list)
    for place in range(len(candidates) - 1, -1, -1):
        places[candidates[place].strip()].append(place)
    gold = []
    for number, text in enumerate(original, start=1):
        if not places[text.strip()]:
            raise malformed(original_path, number, shorten(text), f"a sentence of {path.name}")
        gold.append(places[text.strip()].pop())
    return gold


def read_bucc(context: ReadContext) -> Iterator[RetrievalRecord]:
    """Read BUCC 2018: two files of ``id TAB sentence``, and one of gold pairs ``id TAB id``.

    A query outside the gold has no translation: its ``gold`` is empty. Without the third file the
    records are unlabelled.

    Raises:
        DataError: A line that is not two columns, a repeated id, or a gold id no file has.
    """
    context.check_options()
    if len(context.paths) not in (2, 3):
        raise DataError(f"BUCC is read from two or three files, not {len(context.paths)}.")
    source, english = context.paths[:2]
    queries, candidates = dict(_pairs(source, "sentence")), dict(_pairs(english, "sentence"))
    pairs: dict[str, list[str]] = defaultdict(list)
    if len(context.paths) == 3:
        gold_path = context.paths[2]
        for number, (query, candidate) in enumerate(_pairs(gold_path, "id", unique=False), start=1):
            if query not in queries or candidate not in candidates:
                found = f"the pair {shorten(query)}, {shorten(candidate)}"
                raise malformed(gold_path, number, found, "ids of the two sentence files")
            pairs[query].append(candidate)
    labelled = context.labelled and len(context.paths) == 3
    for key, text in queries.items():
        yield RetrievalRecord(key, text, True, tuple(pairs[key]) if labelled else None)
    for key, text in candidates.items():
        yield RetrievalRecord(key, text, False, ())


def _pairs(path: Path, what: str, *, unique: bool = True) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for number, line in read_lines(path):
        if not line.strip():
            continue
        key, tab, value = line.partition("\t")
        if not tab or not key:
            raise malformed(path, number, shorten(line), f"an id, a tab and a {what}")
        if unique and key in seen:
            raise malformed(path, number, f"the id {shorten(key)} again", "ids without repeats")
        seen.add(key)
        yield key, value


def _check_lengths(path: Path, lines: list[str], other: Path, others: list[str]) -> None:
    if len(lines) != len(others):
        found = f"{len(lines)} lines beside {len(others)} in {other.name}"
        raise malformed(path, len(lines), found, "as many lines in both")


def _two(context: ReadContext) -> tuple[Path, Path]:
    if len(context.paths) != 2:
        raise DataError(f"parallel text is read from two files, not {len(context.paths)}.")
    return context.paths[0], context.paths[1]


def _sentences(path: Path) -> list[str]:
    found = []
    for number, line in read_lines(path):
        if not line.strip():
            raise malformed(path, number, "a blank line", "a sentence on every line")
        found.append(line)
    return found


def _records(
    queries: list[str], candidates: list[str], gold: range | list[int] | None
) -> Iterator[RetrievalRecord]:
    for index, text in enumerate(queries):
        right = None if gold is None else (f"c{gold[index]}",)
        yield RetrievalRecord(f"q{index}", text, True, right)
    for index, text in enumerate(candidates):
        yield RetrievalRecord(f"c{index}", text, False, ())
