"""Rows of the Hugging Face hub, or of a local folder in its layout, as records.

Only data files are read (Parquet, JSON Lines, CSV): loading scripts are never run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spaces.errors import DataError, UnknownNameError
from spaces.languages import expand
from spaces.tasks import HubSource, Split, Task
from trainables.readers.base import ReadContext
from trainables.readers.fields import Row
from trainables.readers.rows import ROW_CONVERTERS, RowConverter
from trainables.records import Record

#: Folder that holds data sets in hub layout as ``<owner>/<name>``.
HUB_ROOT_VARIABLE = "TASKORDER_HUB_ROOT"
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


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


def holds(hub: HubSource, task: Task, language: str) -> bool:
    """Whether a data set holds a language: one that names none holds the training language."""
    if hub.languages and language not in hub.languages:
        return False
    named = f"{hub.path} {hub.config} {hub.options} {hub.splits}"
    return "{lang" in named or language == task.train_language


def read_hub(
    task: Task,
    split: Split,
    language: str,
    data_root: Path | None,
    skipped: Counter[str] | None = None,
) -> Iterator[Record]:
    """Yield the records of one split and language.

    Args:
        task: The task.
        split: The split.
        language: The language.
        data_root: Below it a local copy is looked for.
        skipped: Is told how many rows were left out, by reason, as ``ReadContext.skipped``.

    Raises:
        DataError: The data set, configuration or split cannot be loaded or does not hold the
            language, or a row is malformed.
    """
    hub = task.hub
    if hub is None or split not in hub.splits:
        raise DataError(f"task {task.name!r} has no {split} split on the hub.")
    if not holds(hub, task, language):
        raise DataError(
            f"task {task.name!r}: {hub.path} on the hub holds {task.train_language!r} alone, not "
            f"{language!r}. Put files of that language below the data root."
        )
    options = expand(hub.options, language)
    prefix = options.pop("id_prefix", "")
    counter: Counter[str] = Counter() if skipped is None else skipped
    path = Path(hub.path)
    context = ReadContext((path,), split, language, task.labels, True, options, counter)
    convert = _converter(hub.reader)
    rows = _load(hub, split, language, data_root)
    names = _label_names(rows)
    for index, values in enumerate(rows):
        if prefix and not str(values.get("id", "")).startswith(prefix):
            continue
        row = Row(_named(values, names), path, f"row {index + 1}")
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
            named[column] = [_class_name(member, classes) for member in value]
        elif isinstance(value, int):
            named[column] = _class_name(value, classes)
    return named


def _class_name(value: Any, classes: list[str]) -> str | None:
    return classes[value] if isinstance(value, int) and 0 <= value < len(classes) else None


def _converter(name: str) -> RowConverter:
    try:
        return ROW_CONVERTERS[name]
    except KeyError:
        raise UnknownNameError("hub reader", name, ROW_CONVERTERS) from None
