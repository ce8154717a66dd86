"""Sequence tagging: one token and its tag a line, a blank line between sentences."""

from __future__ import annotations

from collections.abc import Iterator

from trainables.readers.base import ReadContext, check_label, malformed, shorten
from trainables.readers.lines import read_lines
from trainables.records import TaggingRecord


def read_token_tags(context: ReadContext) -> Iterator[TaggingRecord]:
    """Read CoNLL-style columns (XTREME's udpos and panx, WikiANN, MasakhaNER).

    Any number of blank lines may stand before, between and after sentences. Where the entry is not
    labelled, only the token is read. A token may be empty, since WikiANN holds some.

    Options: ``separator`` (a tab by default), ``token`` and ``tag`` (column numbers; a negative one
    counts from the end), ``prefix`` (true where each token is ``language:token``, as in WikiANN's
    own files), ``label_map``.

    Raises:
        DataError: A line without a tag, of too many columns, or with an unknown tag.
    """
    context.check_options("separator", "token", "tag", "prefix", "label_map")
    separator, prefixed = context.option("separator", "\t"), context.option("prefix", False)
    token_column, tag_column = context.option("token", 0), context.option("tag", 1)
    path = context.path
    width = max(token_column, tag_column) + 1
    tokens: list[str] = []
    tags: list[str] = []
    num_sentences = 0
    for number, line in read_lines(path):
        if separator not in line and not line.strip():
            if tokens:
                if num_sentences == 0 and not prefixed:
                    _check_unprefixed(tokens, context, number - 1)
                yield _record(num_sentences, tokens, tags, context.labelled)
                num_sentences += 1
                tokens, tags = [], []
            continue
        columns = line.split(separator)
        if context.labelled and (len(columns) < 2 or (tag_column >= 0 and len(columns) != width)):
            found = f"{len(columns)} columns ({shorten(line)})"
            raise malformed(path, number, found, f"a token and a tag separated by {separator!r}")
        token = columns[token_column]
        if prefixed:
            _, colon, token = token.partition(":")
            if not colon:
                raise malformed(path, number, shorten(line), "a token written language:token")
        tokens.append(token)
        if context.labelled:
            tags.append(check_label(columns[tag_column].strip(), context, path, number))
    if tokens:
        yield _record(num_sentences, tokens, tags, context.labelled)


def _check_unprefixed(tokens: list[str], context: ReadContext, number: int) -> None:
    """Notice WikiANN's own files where tokens without a prefix are expected."""
    if len(tokens) > 1 and all(token.startswith(f"{context.language}:") for token in tokens):
        found = f"the token {shorten(tokens[-1])}, and every other like it"
        raise malformed(context.path, number, found, "tokens without their language")


def _record(index: int, tokens: list[str], tags: list[str], labelled: bool) -> TaggingRecord:
    return TaggingRecord(str(index), tuple(tokens), tuple(tags) if labelled else None)
