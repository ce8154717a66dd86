"""Rows of the Hugging Face hub, or of a local folder in its layout, as records.

Only data files are read (Parquet, JSON Lines, CSV): loading scripts are never run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spaces.errors import DataError, UnknownNameError
from spaces.languages import expand
from spaces.tasks import HubSource, Split, Task
from trainables.readers.base import ReadContext, check_label, malformed
from trainables.readers.choices import CONVERTERS
from trainables.readers.fields import Row
from trainables.readers.pairs import classification_record
from trainables.readers.squad import check_answer
from trainables.records import Answer, QuestionRecord, Record, RetrievalRecord, TaggingRecord

#: Folder that holds data sets in hub layout as ``<owner>/<name>``.
HUB_ROOT_VARIABLE = "TASKORDER_HUB_ROOT"
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")

RowConverter = Callable[[Row, ReadContext, int], list[Record]]


def local_folder(hub: HubSource, data_root: Path | None) -> Path | None:
    """Return the local copy of a data set, ``None`` where there is none.

    It is looked for at ``$TASKORDER_HUB_ROOT/<id>`` and ``<data root>/hub/<id>``.
    """
    roots = []
    if os.environ.get(HUB_ROOT_VARIABLE):
        roots.append(Path(os.environ[HUB_ROOT_VARIABLE]))
    if data_root is not None:
        roots.append(data_root / "hub")
    folders = (root / hub.path for root in roots)
    return next((folder for folder in folders if folder.is_dir()), None)


def is_offline() -> bool:
    """Whether the environment forbids the network, by Hugging Face's own variables."""
    true = {"1", "on", "yes", "true"}
    return any(os.environ.get(name, "").lower() in true for name in OFFLINE_VARIABLES)


def read_hub(task: Task, split: Split, language: str, data_root: Path | None) -> Iterator[Record]:
    """Yield the records of one split and language.

    Raises:
        DataError: The data set, configuration or split cannot be loaded, or a row is malformed.
    """
    hub = task.hub
    if hub is None or split not in hub.splits:
        raise DataError(f"task {task.name!r} has no {split} split on the hub.")
    options = expand(hub.options, language)
    prefix = options.pop("id_prefix", "")
    context = ReadContext((Path(hub.path),), split, language, task.labels, True, options)
    convert = _converter(hub.reader)
    rows = _load(hub, split, language, data_root)
    names = _label_names(rows)
    for index, values in enumerate(rows):
        if prefix and not str(values.get("id", "")).startswith(prefix):
            continue
        row = Row(_named(values, names), Path(hub.path), f"row {index + 1}")
        yield from convert(row, context, index)


def _load(hub: HubSource, split: Split, language: str, data_root: Path | None) -> Any:
    from datasets import load_dataset  # noqa: PLC0415  (seconds to import; files need none of it)

    folder = local_folder(hub, data_root)
    config = expand(hub.config, language)
    name, options = str(folder or hub.path), {}
    if folder is not None and config and not (folder / "README.md").exists():
        # Without the card that declares them, configurations are plain folders.
        name, config = str(folder / config), None
    elif folder is None and hub.revision:
        options = {"revision": hub.revision, "data_dir": config}
        config = None
    try:
        return load_dataset(name, config, split=hub.splits[split], **options)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(
            f"the {split} split of {name!r} (configuration {config!r}) cannot be loaded: {reason}. "
            f"Check the network, or put a copy at <data root>/hub/{hub.path}."
        ) from error


def _label_names(rows: Any) -> dict[str, list[str]]:
    """Map each column of class numbers, or of lists of them, to the class names."""
    found = {}
    for column, feature in rows.features.items():
        inner = getattr(feature, "feature", feature)
        if hasattr(inner, "names"):
            found[column] = list(inner.names)
    return found


def _named(values: Mapping[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    named = dict(values)
    for column, classes in names.items():
        value = named[column]
        if isinstance(value, list):
            named[column] = [classes[index] for index in value]
        elif isinstance(value, int):
            named[column] = classes[value] if value >= 0 else None
    return named


def _is_blank(row: Row, name: str) -> bool:
    return row.values.get(name) in (None, "", -1, "-1")


def _pairs(row: Row, context: ReadContext, index: int) -> list[Record]:
    if _is_blank(row, context.option("label", "label")):
        # A test split without labels keeps its rows; elsewhere these are SNLI's undecided examples.
        if context.split != "test":
            return []
        context = replace(context, labelled=False)
    record = classification_record(row, context, index)
    return [record] if record else []


def _tagging(row: Row, context: ReadContext, index: int) -> list[Record]:
    tokens = row.texts(context.option("tokens", "tokens"))
    column = context.option("tags", "tags")
    names: list[str] = context.option("names", [])
    raw = [names[tag] if isinstance(tag, int) and names else tag for tag in row.members(column)]
    tags = tuple(check_label(str(tag), context, row.path, row.place) for tag in raw)
    if len(tags) != len(tokens):
        raise malformed(row.path, row.place, f"{len(tags)} tags", f"{len(tokens)}")
    return [TaggingRecord(str(index), tokens, tags)]


def _squad(row: Row, context: ReadContext, index: int) -> list[Record]:
    passage, answers = row.text("context"), row.row("answers")
    texts, starts = answers.texts("text"), answers.members("answer_start")
    found = tuple(Answer(text, start) for text, start in zip(texts, starts, strict=True))
    for answer in found:
        check_answer(answer, passage, row)
    return [QuestionRecord(row.text("id"), row.text("question"), passage, found)]


def _aligned(row: Row, context: ReadContext, index: int) -> list[Record]:
    source = row.text(context.option("text", "source_sentence"))
    english = row.text(context.option("candidate", "target_sentence"))
    return [
        RetrievalRecord(f"q{index}", source, True, (f"c{index}",)),
        RetrievalRecord(f"c{index}", english, False, ()),
    ]


def _choices(row: Row, context: ReadContext, index: int) -> list[Record]:
    columns = [name for name in ("label", "answerKey") if name in row.values]
    if columns and all(_is_blank(row, name) for name in columns):
        context = replace(context, labelled=False)
    return [CONVERTERS[context.option("dataset", "")](row, context, index)]


ROW_CONVERTERS: dict[str, RowConverter] = {
    "pairs": _pairs,
    "tagging": _tagging,
    "squad": _squad,
    "aligned_text": _aligned,
    "choices": _choices,
}


def _converter(name: str) -> RowConverter:
    try:
        return ROW_CONVERTERS[name]
    except KeyError:
        raise UnknownNameError("hub reader", name, ROW_CONVERTERS) from None
