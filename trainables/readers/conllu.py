"""CoNLL-U, the format of Universal Dependencies (https://universaldependencies.org/format.html).

The tag of a word can be its universal part of speech, its full bundle of morphological features,
one feature, or part of speech and bundle together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import UnknownNameError
from trainables.readers.base import ReadContext, check_label, malformed, shorten
from trainables.readers.lines import read_lines
from trainables.records import TaggingRecord

NUM_COLUMNS = 10
_ID = re.compile(r"[1-9][0-9]{0,5}|0")
_RANGE = re.compile(r"([1-9][0-9]{0,5})-([1-9][0-9]{0,5})")
_EMPTY_NODE = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}")

#: Which word of a fused token gives it its tag when several stand equally high in the tree
#: (XTREME's conversion; its order for languages without one of their own).
FUSED_PRECEDENCE = tuple(
    "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X SYM PUNCT _".split()  # noqa: SIM905
)


@dataclass(slots=True)
class Word:
    """One syntactic word."""

    form: str
    upos: str
    feats: str
    head: int


def _upos(word: Word) -> str:
    return word.upos


def _bundle(word: Word) -> str:
    return word.feats


def _upos_and_bundle(word: Word) -> str:
    return word.upos if word.feats == "_" else f"{word.upos}|{word.feats}"


TAGS: dict[str, Callable[[Word], str]] = {
    "upos": _upos,
    "feats": _bundle,
    "upos+feats": _upos_and_bundle,
}


def read_conllu(context: ReadContext) -> Iterator[TaggingRecord]:
    """Read sentences; the id is ``sent_id`` where there is one.

    Options: ``tag`` (``upos``, ``feats``, ``upos+feats``, or ``feature:Case`` for one feature,
    ``_`` where a word lacks it), ``multiword`` (``split``: the syntactic words; ``fuse``: the
    surface tokens, tagged as their highest word in the tree, as in XTREME's udpos), ``label_map``.

    Raises:
        DataError: A line that is not CoNLL-U, ids out of order, or an unknown tag.
    """
    context.check_options("tag", "multiword", "label_map")
    tag_of = _tagger(context.option("tag", "upos"))
    multiword = context.option("multiword", "split")
    if multiword not in ("split", "fuse"):
        raise UnknownNameError("multiword option", multiword, ("split", "fuse"))
    path = context.path
    for index, (number, sent_id, words, ranges) in enumerate(read_sentences(path)):
        chosen = words if multiword == "split" else fuse(words, ranges)
        tags = None
        if context.labelled:
            tags = tuple(check_label(tag_of(word), context, path, number) for word in chosen)
        yield TaggingRecord(sent_id or str(index), tuple(word.form for word in chosen), tags)


def _tagger(name: str) -> Callable[[Word], str]:
    if name.startswith("feature:"):
        wanted = name.removeprefix("feature:") + "="

        def feature(word: Word) -> str:
            values = (pair for pair in word.feats.split("|") if pair.startswith(wanted))
            return next(values, wanted + "_").removeprefix(wanted)

        return feature
    try:
        return TAGS[name]
    except KeyError:
        raise UnknownNameError("CoNLL-U tag", name, [*TAGS, "feature:Case"]) from None


Sentence = tuple[int, str, list[Word], list[tuple[int, int, str]]]


def read_sentences(path: Path) -> Iterator[Sentence]:
    """Yield (first line, sent_id or "", words, multi-word ranges as first, last, form).

    Empty nodes of the enhanced representation are no tokens and are passed over.

    Raises:
        DataError: A line that is not CoNLL-U, or word ids that do not count up from 1.
    """
    sent_id, begins = "", 0
    words: list[Word] = []
    ranges: list[tuple[int, int, str]] = []
    for number, line in read_lines(path):
        if not line.strip():
            if words:
                yield _finish(path, begins, sent_id, words, ranges)
            sent_id, words, ranges = "", [], []
            continue
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            if key.strip() == "sent_id":
                sent_id = value.strip()
            continue
        if not words and not ranges:
            begins = number
        columns = line.split("\t")
        if len(columns) != NUM_COLUMNS:
            raise malformed(path, number, f"{len(columns)} columns", f"{NUM_COLUMNS} columns")
        _add(path, number, columns, words, ranges)
    if words:
        yield _finish(path, begins, sent_id, words, ranges)


def _add(
    path: Path,
    number: int,
    columns: list[str],
    words: list[Word],
    ranges: list[tuple[int, int, str]],
) -> None:
    identifier, form = columns[0], columns[1]
    if _EMPTY_NODE.fullmatch(identifier):
        return
    span = _RANGE.fullmatch(identifier)
    if span:
        first, last = int(span[1]), int(span[2])
        if first != len(words) + 1 or last < first:
            raise malformed(path, number, f"the range {identifier}", f"one from {len(words) + 1}")
        ranges.append((first, last, form))
        return
    if identifier != str(len(words) + 1):
        raise malformed(path, number, f"the id {shorten(identifier)}", str(len(words) + 1))
    head = columns[6]
    if head != "_" and not _ID.fullmatch(head):
        raise malformed(path, number, f"the head {shorten(head)}", "a word id, 0 or _")
    words.append(Word(form, columns[3], columns[5], 0 if head == "_" else int(head)))


def _finish(
    path: Path,
    begins: int,
    sent_id: str,
    words: list[Word],
    ranges: list[tuple[int, int, str]],
) -> Sentence:
    if ranges and ranges[-1][1] > len(words):
        first, last, _ = ranges[-1]
        raise malformed(path, begins, f"{len(words)} words", f"the range {first}-{last} to be full")
    return begins, sent_id, words, ranges


def fuse(words: list[Word], ranges: list[tuple[int, int, str]]) -> list[Word]:
    """Replace the words of each multi-word token by the token, tagged as its highest word.

    Args:
        words: The syntactic words, word 1 first.
        ranges: Multi-word tokens as (first id, last id, form), in order.
    """
    fused: list[Word] = []
    position = 1
    for first, last, form in ranges:
        if first < position:  # overlapping ranges: the earlier one already took these words
            continue
        fused += words[position - 1 : first - 1]
        span = range(first, last + 1)
        top = min(span, key=lambda i: (_depth(words, i), _rank(words[i - 1].upos), i))
        best = words[top - 1]
        fused.append(Word(form, best.upos, best.feats, best.head))
        position = last + 1
    return fused + words[position - 1 :]


def _depth(words: list[Word], position: int) -> int:
    """Number of words above; a cycle (malformed trees exist) counts as deepest."""
    depth = 0
    while 0 < position <= len(words) and depth <= len(words):
        position = words[position - 1].head
        depth += 1
    return depth


def _rank(upos: str) -> int:
    return FUSED_PRECEDENCE.index(upos) if upos in FUSED_PRECEDENCE else len(FUSED_PRECEDENCE)
