"""CCG supertagging: the lexical categories of CCGbank, from the user's own licensed copy.

Source: Hockenmaier and Steedman 2007 (doi:10.1162/coli.2007.33.3.355), LDC2005T13.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainables.readers.base import ReadContext, check_label, malformed, shorten
from trainables.readers.lines import read_document, read_lines
from trainables.records import TaggingRecord

#: A leaf of a derivation: category, part of speech as CCGbank has it and as the Treebank has it,
#: word, category with head indices.
_LEAF = re.compile(r"<L (\S+) \S+ \S+ (\S+) [^\s>]+>")
_NAME = re.compile(r"ID=(\S+)")


def read_supertags(context: ReadContext) -> Iterator[TaggingRecord]:
    """Read ``text TAB supertags``, words and tags separated by spaces, one sentence a line.

    A second file, or the option, maps the tags as they are written to categories, where they are
    written as numbers or short names. The file is a JSON object (jiant's ``tags_to_id.json``) or
    has ``tag TAB category`` on each line. A map from categories to numbers, as jiant's is, is
    turned round; what is a category already stays as it is.

    Options: ``tag_map`` (tag to category), ``label_map``.

    Raises:
        DataError: A line that is not two columns, tags of another number than words, or a tag the
            map does not have.
    """
    context.check_options("tag_map", "label_map")
    given: Mapping[Any, Any] = context.option("tag_map", {})
    tag_map = {str(tag): str(category) for tag, category in given.items()}
    if len(context.paths) == 2:
        path = context.paths[0]
        tag_map = {**_read_tag_map(context.paths[1]), **tag_map}
    else:
        path = context.path
    tag_map = {category: category for category in tag_map.values()} | tag_map
    index = longest = 0
    for number, line in read_lines(path):
        if not line.strip():
            if longest == 1:
                found = "a blank line behind sentences of one word"
                raise malformed(path, number, found, "a sentence, not a word, on each line")
            continue
        columns = line.split("\t")
        if len(columns) != 2 and (context.labelled or len(columns) != 1):
            raise malformed(path, number, f"{len(columns)} columns", "a text, a tab and supertags")
        words, tags = tuple(columns[0].split()), None
        if context.labelled:
            tags = _categories(columns[1].split(), tag_map, context, path, number)
            if len(tags) != len(words):
                found = f"{len(tags)} supertags of {len(words)} words"
                raise malformed(path, number, found, "one a word")
        yield TaggingRecord(str(index), words, tags)
        index, longest = index + 1, max(longest, len(words))


def _categories(
    tags: Sequence[str],
    tag_map: Mapping[str, str],
    context: ReadContext,
    path: Path,
    number: int,
) -> tuple[str, ...]:
    if tag_map:
        for tag in tags:
            if tag not in tag_map:
                raise malformed(path, number, f"the supertag {shorten(tag)}", "one of the tag map")
        tags = [tag_map[tag] for tag in tags]
    return tuple(check_label(tag, context, path, number) for tag in tags)


def _read_tag_map(path: Path) -> dict[str, str]:
    if path.suffix == ".json":
        document = read_document(path)
        if not isinstance(document, dict):
            raise malformed(path, "the top level", shorten(document), "an object of tags")
        pairs = [(str(tag), value) for tag, value in document.items()]
        if all(isinstance(value, int) or str(value).isdecimal() for _, value in pairs):
            pairs = [(str(value), tag) for tag, value in pairs]
        for tag, value in pairs:
            if not isinstance(value, str):
                raise malformed(path, tag, shorten(value), "a category")
    else:
        pairs = []
        for number, line in read_lines(path):
            if line.strip():
                tag, tab, category = line.partition("\t")
                if not tab or "\t" in category:
                    raise malformed(path, number, shorten(line), "a tag, a tab and a category")
                pairs.append((tag.strip(), category.strip()))
    found = dict(pairs)
    if len(found) != len(pairs):
        raise malformed(path, "the tag map", "a tag twice", "every tag once")
    return found


def read_ccg_columns(context: ReadContext) -> Iterator[TaggingRecord]:
    """Read ``word POS POS category`` on each line, a blank line between sentences.

    The columns are those of a leaf of CCGbank's derivations, word first: the word, its part of
    speech as CCGbank has it, as the Penn Treebank has it, and its category. White space separates
    them. A fifth column, the category with head indices, is passed over.

    Options: ``label_map``.

    Raises:
        DataError: A line of another number of columns.
    """
    context.check_options("label_map")
    path = context.path
    words: list[str] = []
    tags: list[str] = []
    index = 0
    for number, line in read_lines(path):
        columns = line.split()
        if columns:
            if len(columns) not in (4, 5):
                found = f"{len(columns)} columns ({shorten(line)})"
                raise malformed(path, number, found, "word, POS, POS and category")
            words.append(columns[0])
            tags.append(columns[3])
            if context.labelled:
                tags[-1] = check_label(columns[3], context, path, number)
        elif words:
            yield TaggingRecord(str(index), tuple(words), tuple(tags) if context.labelled else None)
            index += 1
            words, tags = [], []
    if words:
        yield TaggingRecord(str(index), tuple(words), tuple(tags) if context.labelled else None)


def read_ccgbank(context: ReadContext) -> Iterator[TaggingRecord]:
    """Read the leaves of CCGbank's derivations, its ``AUTO`` files as they are released.

    A derivation is one line behind a line that names its sentence (``ID=wsj_0001.1 ...``).

    Options: ``label_map``.

    Raises:
        DataError: A line that is neither, or a derivation without a name or without words.
    """
    context.check_options("label_map")
    for path in context.paths:
        identifier = ""
        for number, line in read_lines(path):
            name = _NAME.match(line)
            if name:
                identifier = name[1]
                continue
            if not line.strip():
                continue
            leaves = _LEAF.findall(line)
            if not identifier or not leaves or len(leaves) != line.count("<L "):
                expected = "a derivation behind a line ID=..."
                raise malformed(path, number, shorten(line), expected)
            tags = None
            if context.labelled:
                tags = tuple(check_label(leaf[0], context, path, number) for leaf in leaves)
            yield TaggingRecord(identifier, tuple(leaf[1] for leaf in leaves), tags)
            identifier = ""
