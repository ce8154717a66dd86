"""CoNLL-U, the format of Universal Dependencies (https://universaldependencies.org/format.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.lines import read_lines

NUM_COLUMNS = 10
#: What stands for a form that a treebank may not publish.
WITHHELD = "_"
_ID = re.compile(r"[1-9][0-9]{0,5}|0")
_RANGE = re.compile(r"([1-9][0-9]{0,5})-([1-9][0-9]{0,5})")
_EMPTY_NODE = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Word:
    """One syntactic word.

    Attributes:
        form: As it is written.
        lemma: Its dictionary form.
        upos: Its universal part of speech.
        feats: Its morphological features, ``Name=Value`` joined by ``|``, or ``_``.
        head: The word it depends on, from 1; 0 for a root.
        space_after: Whether a space follows in the text.
    """

    form: str
    lemma: str
    upos: str
    feats: str
    head: int
    space_after: bool = True


@dataclass(frozen=True, slots=True)
class Range:
    """A multi-word token: words ``first`` to ``last``, from 1, written as ``form``."""

    first: int
    last: int
    form: str
    space_after: bool = True


@dataclass(slots=True)
class Sentence:
    """One sentence.

    Attributes:
        sent_id: Its ``sent_id``, empty where it has none.
        text: Its ``text``, empty where it has none.
        line: Line of its first word.
        words: Its syntactic words, word 1 first.
        ranges: Its multi-word tokens, in order.
    """

    sent_id: str = ""
    text: str = ""
    line: int = 0
    words: list[Word] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)

    @property
    def is_withheld(self) -> bool:
        """Whether its text is not published: at most one of its forms is there.

        The bound is that of XTREME's preparation of udpos.
        """
        num_withheld = sum(word.form == WITHHELD for word in self.words)
        return num_withheld > 0 and num_withheld >= len(self.words) - 1


def read_sentences(context: ReadContext) -> Iterator[Sentence]:
    """Yield the sentences of a file; those whose text is withheld are left out and counted.

    Empty nodes of the enhanced representation are no tokens and are passed over.

    Raises:
        DataError: A line that is not CoNLL-U, word ids that do not count up from 1, or a sentence
            without words.
    """
    path = context.path
    sentence = Sentence()
    for number, line in read_lines(path):
        if not line.strip():
            if sentence.line:
                yield from _finish(path, sentence, context)
            sentence = Sentence()
        elif line.startswith("#"):
            key, _, value = line[1:].partition("=")
            if key.strip() == "sent_id":
                sentence.sent_id = value.strip()
            elif key.strip() == "text":
                sentence.text = value.strip()
        else:
            sentence.line = sentence.line or number
            _add(path, number, line.split("\t"), sentence)
    if sentence.line:
        yield from _finish(path, sentence, context)


def _add(path: Path, number: int, columns: list[str], sentence: Sentence) -> None:
    if len(columns) != NUM_COLUMNS:
        raise malformed(path, number, f"{len(columns)} columns", f"{NUM_COLUMNS} columns")
    identifier, form, lemma, upos, _, feats, head, _, _, misc = columns
    if _EMPTY_NODE.fullmatch(identifier):
        return
    following = str(len(sentence.words) + 1)
    space_after = "SpaceAfter=No" not in misc.split("|")
    span = _RANGE.fullmatch(identifier)
    if span:
        first, last = int(span[1]), int(span[2])
        taken = sentence.ranges[-1].last if sentence.ranges else 0
        if span[1] != following or last < first or first <= taken:
            found = f"the range {identifier}"
            raise malformed(path, number, found, f"one from {max(int(following), taken + 1)}")
        sentence.ranges.append(Range(first, last, form, space_after))
        return
    if identifier != following:
        raise malformed(path, number, f"the id {shorten(identifier)}", following)
    if head != "_" and not _ID.fullmatch(head):
        raise malformed(path, number, f"the head {shorten(head)}", "a word id, 0 or _")
    position = 0 if head == "_" else int(head)
    sentence.words.append(Word(form, lemma, upos, feats, position, space_after))


def _finish(path: Path, sentence: Sentence, context: ReadContext) -> Iterator[Sentence]:
    num_words = len(sentence.words)
    if sentence.ranges and sentence.ranges[-1].last > num_words:
        span = f"{sentence.ranges[-1].first}-{sentence.ranges[-1].last}"
        raise malformed(path, sentence.line, f"{num_words} words", f"the range {span} to be full")
    if num_words == 0:
        raise malformed(path, sentence.line, "a sentence without words", "at least one")
    if sentence.is_withheld:
        context.skip("the treebank withholds the text")
    else:
        yield sentence
