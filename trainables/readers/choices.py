"""Multiple choice: HellaSwag, Cosmos QA, CommonsenseQA, Social IQa, COPA and XCOPA.

Each dataset's rows are converted by one function, used for its files and for its rows on the hub,
which name the same fields with small differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spaces.errors import DataError, UnknownNameError
from trainables.readers.base import ReadContext, malformed, shorten
from trainables.readers.fields import Row
from trainables.readers.lines import read_lines, read_objects, read_table
from trainables.records import ChoiceRecord

Converter = Callable[[Row, ReadContext, int], ChoiceRecord]

#: What COPA asks, spelt out as in its own release.
COPA_QUESTIONS = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}
LETTERS = "ABCDE"


def hellaswag_record(row: Row, context: ReadContext, index: int) -> ChoiceRecord:
    """Convert a row of HellaSwag (https://arxiv.org/abs/1905.07830).

    The context is ``ctx`` and the endings continue it; the activity is left out, as it is by the
    leaderboard's baselines.
    """
    endings = row.texts("endings")
    identifier = str(row.integer("ind")) if row.has("ind") else str(index)
    return ChoiceRecord(
        identifier, row.text("ctx"), "", endings, _position(row, "label", endings, context)
    )


def cosmosqa_record(row: Row, context: ReadContext, index: int) -> ChoiceRecord:
    """Convert a row of Cosmos QA (https://arxiv.org/abs/1909.00277)."""
    choices = tuple(row.text(f"answer{i}") for i in range(4))
    identifier = row.text("id") if row.has("id") else str(index)
    return ChoiceRecord(
        identifier,
        row.text("context"),
        row.text("question"),
        choices,
        _position(row, "label", choices, context),
    )


def commonsenseqa_record(row: Row, context: ReadContext, index: int) -> ChoiceRecord:
    """Convert a row of CommonsenseQA (https://arxiv.org/abs/1811.00937), which has no context."""
    nested = isinstance(row.values.get("question"), Mapping)
    question = row.row("question").text("stem") if nested else row.text("question")
    holder = row.row("question") if nested else row
    if isinstance(holder.values.get("choices"), Mapping):  # the hub's columns
        columns = holder.row("choices")
        letters, choices = columns.texts("label"), columns.texts("text")
    else:
        options = holder.rows("choices")
        letters = tuple(option.text("label") for option in options)
        choices = tuple(option.text("text") for option in options)
    if len(letters) != len(choices) or not choices:
        raise malformed(row.path, row.place, f"{len(choices)} choices", "one for each label")
    label = None
    if context.labelled:
        key = row.text("answerKey")
        if key not in letters:
            expected = f"one of {', '.join(letters)}"
            raise malformed(row.path, row.place, f"answerKey = {shorten(key)}", expected)
        label = letters.index(key)
    identifier = row.text("id") if row.has("id") else str(index)
    return ChoiceRecord(identifier, "", question, choices, label)


def siqa_record(row: Row, context: ReadContext, index: int) -> ChoiceRecord:
    """Convert a row of Social IQa (https://arxiv.org/abs/1904.09728)."""
    choices = tuple(row.text(f"answer{letter}") for letter in "ABC")
    label = None
    if context.labelled:
        # Version 1.4 names the letter, the hub counts from 1.
        name = "correct" if row.has("correct") else "label"
        value = row.values.get(name)
        letter = row.text(name) if isinstance(value, str) else str(row.integer(name))
        label = {"A": 0, "B": 1, "C": 2, "1": 0, "2": 1, "3": 2}.get(letter)
        if label is None:
            raise malformed(row.path, row.place, f"{name} = {shorten(value)}", "A, B or C")
    return ChoiceRecord(str(index), row.text("context"), row.text("question"), choices, label)


def copa_record(row: Row, context: ReadContext, index: int) -> ChoiceRecord:
    """Convert a row of COPA or XCOPA (https://arxiv.org/abs/2005.00333).

    ``cause`` and ``effect`` become English questions, in every language.
    """
    choices = (row.text("choice1"), row.text("choice2"))
    kind = row.text("question")
    if kind not in COPA_QUESTIONS:
        raise malformed(row.path, row.place, f"question = {shorten(kind)}", "cause or effect")
    identifier = str(row.integer("idx")) if row.has("idx") else str(index)
    return ChoiceRecord(
        identifier,
        row.text("premise"),
        COPA_QUESTIONS[kind],
        choices,
        _position(row, "label", choices, context),
    )


CONVERTERS: dict[str, Converter] = {
    "hellaswag": hellaswag_record,
    "cosmosqa": cosmosqa_record,
    "commonsenseqa": commonsenseqa_record,
    "siqa": siqa_record,
    "copa": copa_record,
}


def _position(row: Row, name: str, choices: tuple[str, ...], context: ReadContext) -> int | None:
    if not context.labelled:
        return None
    label = row.integer(name)
    if not 0 <= label < len(choices):
        expected = f"a number below {len(choices)}"
        raise malformed(row.path, row.place, f"{name} = {label}", expected)
    return label


def read_choices_jsonl(context: ReadContext) -> Iterator[ChoiceRecord]:
    """Read JSON Lines of the dataset named by the option ``dataset``.

    A second file, where there is one, holds the labels, one a line (Social IQa as AI2 releases it).

    Raises:
        DataError: A missing field, a label out of range, or labels of another number than rows.
    """
    context.check_options("dataset")
    convert = choice_converter(context)
    if len(context.paths) == 2:
        path, labels = context.paths[0], _labels(context.paths[1])
    else:
        path, labels = context.path, None
    num_rows = 0
    for index, (number, values) in enumerate(read_objects(path)):
        num_rows += 1
        if labels is not None:
            if num_rows > len(labels):
                raise _unequal(context, f"more than {len(labels)}", len(labels))
            values["label"] = labels[index]
        yield convert(Row(values, path, number), context, index)
    if labels is not None and num_rows != len(labels):
        raise _unequal(context, str(num_rows), len(labels))


def _labels(path: Path) -> list[str]:
    return [line.strip() for _, line in read_lines(path) if line.strip()]


def _unequal(context: ReadContext, num_rows: str, num_labels: int) -> DataError:
    path, labels = context.paths
    found = f"{num_labels} labels beside {num_rows} rows in {path.name}"
    return malformed(labels, num_labels, found, "one for each row")


def read_choices_csv(context: ReadContext) -> Iterator[ChoiceRecord]:
    """Read Cosmos QA's own CSV.

    Raises:
        DataError: A missing column, a row too short or too long, or a label out of range.
    """
    context.check_options()
    path = context.path
    columns = ["id", "context", "question", *(f"answer{i}" for i in range(4))]
    if context.labelled:
        columns.append("label")
    rows = read_table(path, delimiter=",", quoting=True, columns=columns)
    for index, (number, values) in enumerate(rows):
        if values is None:
            found = "a row of too few or too many columns"
            raise malformed(path, number, found, f"the columns {', '.join(columns)}")
        yield cosmosqa_record(Row(values, path, number), context, index)


def read_hellaswag_text(context: ReadContext) -> Iterator[ChoiceRecord]:
    """Read HellaSwag as six lines a question: ``activity: context``, gold index, four endings.

    Raises:
        DataError: An incomplete question or a gold index out of range.
    """
    context.check_options()
    path = context.path
    block: list[str] = []
    begins = 1
    for number, line in read_lines(path):
        if not block and not line.strip():
            continue
        if not block:
            begins = number
        block.append(line)
        if len(block) == 6:
            yield _from_block(block, context, begins)
            block = []
    if block:
        raise malformed(path, begins, f"{len(block)} lines", "six lines a question")


def _from_block(block: list[str], context: ReadContext, begins: int) -> ChoiceRecord:
    _, colon, text = block[0].partition(": ")
    if not colon:
        raise malformed(context.path, begins, shorten(block[0]), "activity: context")
    values: dict[str, Any] = {"ctx": text, "label": block[1], "endings": block[2:], "ind": begins}
    return hellaswag_record(Row(values, context.path, begins), context, begins)


def choice_converter(context: ReadContext) -> Converter:
    """Return the converter of the data set that the option ``dataset`` names.

    Raises:
        UnknownNameError: It names none.
    """
    name = context.option("dataset", "")
    try:
        return CONVERTERS[name]
    except KeyError:
        raise UnknownNameError("multiple-choice dataset", name, CONVERTERS) from None
