"""Sentence classification: labelled texts or pairs of texts, as columns or as JSON objects."""

from __future__ import annotations

from collections.abc import Iterator

from spaces.errors import DataError
from trainables.readers.base import ReadContext, check_label, malformed
from trainables.readers.fields import Row
from trainables.readers.lines import NOT_FOREIGN, read_objects, read_rows, read_table
from trainables.records import ClassificationRecord

#: SNLI and MultiNLI mark examples without a majority label so; every user of them leaves these out.
NO_MAJORITY = "-"
NO_GOLD = "no gold label"
MALFORMED = "a row of too few or too many columns"
UNKNOWN_LABEL = "a row without a known label"


def read_tsv(context: ReadContext) -> Iterator[ClassificationRecord]:
    """Read texts and a label in columns without a header.

    Options: ``text``, ``text_pair``, ``label`` (column numbers from 0; ``text_pair: -1`` for single
    texts), ``quoting`` (fields as ``csv`` writes them, as XTREME's files are), ``max_malformed``
    (as for ``read_table_pairs``; an unknown label counts too), ``label_map``.

    Raises:
        DataError: Fewer or more columns than the entry says, or an unknown label.
    """
    context.check_options("text", "text_pair", "label", "quoting", "max_malformed", "label_map")
    text, pair, label = (
        context.option("text", 0),
        context.option("text_pair", 1),
        context.option("label", 2),
    )
    path, budget = context.path, _Budget(context)
    needed = max(text, pair, label if context.labelled else 0) + 1
    allowed = max(needed, label + 1)
    rows = read_rows(path, delimiter="\t", quoting=context.option("quoting", False))
    for index, (number, row) in enumerate(rows):
        if not needed <= len(row) <= allowed:
            expected = f"{needed} columns separated by tabs"
            budget.spend(malformed(path, number, f"{len(row)}", expected))
            continue
        name = None
        if context.labelled:
            try:
                name = check_label(row[label].strip(), context, path, number)
            except DataError as error:
                budget.spend(error, UNKNOWN_LABEL)
                continue
        yield ClassificationRecord(str(index), row[text], row[pair] if pair >= 0 else None, name)


def read_table_pairs(context: ReadContext) -> Iterator[ClassificationRecord]:
    """Read texts and a label from a table with a header, unquoted (GLUE, PAWS-X, XNLI, MultiNLI).

    Options: ``text``, ``text_pair``, ``label`` (column names; ``label: "-1"`` for the last field of
    each row), ``id`` (column name; row number when absent), ``where`` (column to the value that
    selects a row), ``lacks`` (columns that tell another data set's file from this one's),
    ``drop_label`` (a label whose rows are left out), ``max_malformed`` (rows of too few or too many
    columns that the release is known to hold), ``label_map``. What is left out is counted.

    Raises:
        DataError: A missing column, more malformed rows than the release is known to hold, or an
            unknown label.
    """
    context.check_options(
        *("text", "text_pair", "label", "id", "where", "lacks"),
        *("drop_label", "max_malformed", "label_map"),
    )
    text, pair = context.option("text", "sentence1"), context.option("text_pair", "sentence2")
    label, key = context.option("label", "label"), context.option("id", "")
    where: dict[str, str] = context.option("where", {})
    lacks: list[str] = context.option("lacks", [])
    columns = [column for column in (text, pair, key, *where) if column]
    if context.labelled:
        columns.append(label)
    path, budget = context.path, _Budget(context)
    rows = read_table(path, delimiter="\t", quoting=False, columns=columns, foreign=lacks)
    for index, (number, row) in enumerate(rows):
        if row is None:
            expected = f"the columns {', '.join(columns)}"
            budget.spend(malformed(path, number, MALFORMED, expected))
            continue
        if any(row[column] != value for column, value in where.items()):
            continue
        name = None
        if context.labelled:
            raw = row[label].strip()
            if raw == context.option("drop_label", NO_MAJORITY):
                context.skip(NO_GOLD)
                continue
            name = check_label(raw, context, path, number)
        identifier = row[key] if key else str(index)
        yield ClassificationRecord(identifier, row[text], row[pair] if pair else None, name)


class _Budget:
    """Malformed rows of a file that are left out and counted before one is an error."""

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._left = context.option("max_malformed", 0)

    def spend(self, error: DataError, reason: str = MALFORMED) -> None:
        if self._left <= 0:
            raise error
        self._left -= 1
        self._context.skip(reason)


def read_jsonl(context: ReadContext) -> Iterator[ClassificationRecord]:
    """Read texts and a label from JSON Lines (SNLI, MultiNLI, ANLI).

    Options: ``text``, ``text_pair``, ``label``, ``id`` (field names), ``lacks`` (fields that tell
    another data set's file from this one's), ``drop_label`` (a label whose examples are left out
    and counted), ``label_map``.

    Raises:
        DataError: A missing field or an unknown label.
    """
    context.check_options("text", "text_pair", "label", "id", "lacks", "drop_label", "label_map")
    path = context.path
    lacks: list[str] = context.option("lacks", [])
    for index, (number, values) in enumerate(read_objects(path)):
        for name in lacks:
            if name in values:
                raise malformed(path, number, f"a field {name!r}", NOT_FOREIGN)
        record = classification_record(Row(values, path, number), context, index)
        if record is None:
            context.skip(NO_GOLD)
        else:
            yield record


def classification_record(
    row: Row, context: ReadContext, index: int
) -> ClassificationRecord | None:
    """Convert one object; ``None`` where its label is the one that says "no majority".

    Raises:
        DataError: A missing field or an unknown label.
    """
    pair = context.option("text_pair", "sentence2")
    key = context.option("id", "")
    label = None
    if context.labelled:
        name = context.option("label", "label")
        value = row.values.get(name)
        raw = str(value) if isinstance(value, int) else row.text(name)
        if raw == context.option("drop_label", NO_MAJORITY):
            return None
        label = check_label(raw, context, row.path, row.place)
    return ClassificationRecord(
        row.text(key) if key and row.has(key) else str(index),
        row.text(context.option("text", "sentence1")),
        row.text(pair) if pair else None,
        label,
    )
