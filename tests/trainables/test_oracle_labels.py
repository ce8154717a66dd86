"""What a perfect model would score on real tagging, classification and multiple-choice files: 100.

So no word is lost where a sentence is cut into windows, and labels come back as they went in.
"""

from __future__ import annotations

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from spaces.tasks import Task, load_catalogue
from tests.trainables import oracle
from trainables.data import available, is_labelled, label_names, load_records
from trainables.formats.base import Encoding
from trainables.metrics import METRICS, gold_labels
from trainables.readers import READERS, ReadContext
from trainables.records import Record, TaggingRecord

ROOT = Path(os.environ.get("TASKORDER_DATA_ROOT", "nowhere"))
pytestmark = [
    pytest.mark.skipif(not ROOT.is_dir(), reason="needs TASKORDER_DATA_ROOT with the releases"),
    pytest.mark.slow,
]
CATALOGUE = load_catalogue()
#: Files of tagging tasks that the catalogue finds only where others are missing.
ALTERNATIVES = {
    "wikiann_raw/*": ("panx", {"prefix": True}),
    "panx_fewshot/*.tsv": ("panx", {}),
    "panx/*.tsv": ("panx", {}),
    "udpos/*.tsv": ("udpos", {}),
}
TAGGED = [
    (path, *rest)
    for pattern, rest in ALTERNATIVES.items()
    for path in sorted(ROOT.glob(pattern))
    if not path.name.startswith("test-")  # XTREME's, which are blank.
]
#: First records of a set, and records all over a file, that are enough.
LIMIT, MOST = 200, 500


def sets(*formats: str) -> list[tuple[Task, Any, str]]:
    """Return every labelled split and language of the papers' tasks that the data root holds."""
    return [
        (task, split, language)
        for task in CATALOGUE.values()
        if task.format in formats and task.group != "mini"
        for language in dict.fromkeys((task.train_language, *task.languages))
        for split in task.files or ("train", "dev")
        if available(task, split, language, ROOT, CATALOGUE)
    ]


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """Train a tokenizer on a little of every language; much of what is read is new to it."""
    texts = [
        " ".join(record.tokens)
        for path, task, options in TAGGED
        for record in read(path, task, options)[:300]
    ]
    return oracle.make_tokenizer(texts, 8_000)


def read(path: Path, task: str, options: dict[str, Any]) -> list[Any]:
    context = ReadContext((path,), "dev", "en", CATALOGUE[task].labels, options=options)
    records = list(READERS["token_tags"](context))
    return records[:: math.ceil(len(records) / MOST)]


def values(task: Task, labels: tuple[str, ...], records: list[Record]) -> dict[str, float]:
    """Return the metric's values for gold labels that went through the format and back."""
    predictions = oracle.predict(records, Encoding(tokenizer(), task, labels))
    return METRICS[task.metric].compute(predictions, gold_labels(records), "en")


def labelled_set(entry: tuple[Task, Any, str]) -> tuple[Task, tuple[str, ...], list[Any]]:
    """Return a set's task, labels and first records; skip one that the release blanks."""
    task, split, language = entry
    if not is_labelled(task, split, language, data_root=ROOT):
        pytest.skip("the release blanks this set")
    records = load_records(task, split, language, data_root=ROOT, limit=LIMIT)
    return task, label_names(task, data_root=ROOT), records


def named(entry: tuple[Any, ...]) -> str:
    return "-".join(part.name if isinstance(part, Task) else str(part) for part in entry)


@pytest.mark.parametrize("max_length", [128, 24])
@pytest.mark.parametrize(
    ("path", "name", "options"), TAGGED, ids=lambda part: getattr(part, "name", "")
)
def test_every_word_of_a_tagging_file_keeps_its_tag(
    path: Path, name: str, options: dict[str, Any], max_length: int
) -> None:
    task = CATALOGUE[name].model_copy(update={"max_length": max_length})
    found = values(task, task.labels, read(path, name, options))
    assert found["accuracy"] == 100
    assert found["f1"] == 100


@pytest.mark.parametrize("entry", sets("token_classification"), ids=named)
def test_every_word_of_a_tagging_task_keeps_its_tag(entry: tuple[Task, Any, str]) -> None:
    task, labels, records = labelled_set(entry)
    predictions = oracle.predict(records, Encoding(tokenizer(), task, labels))
    num_foreign = 0
    for record in records:
        assert isinstance(record, TaggingRecord)
        for predicted, tag in zip(predictions[record.id], record.tags or (), strict=True):
            # A head knows the tags of its training set: another language may have more.
            assert predicted == tag or tag not in labels
            num_foreign += tag not in labels
    if task.labels:
        assert num_foreign == 0
    if not num_foreign:
        assert METRICS[task.metric].primary(values(task, labels, records)) == 100


@pytest.mark.parametrize("entry", sets("sequence_classification", "multiple_choice"), ids=named)
def test_every_classification_and_choice_task_scores_100(entry: tuple[Task, Any, str]) -> None:
    task, labels, records = labelled_set(entry)
    assert METRICS[task.metric].primary(values(task, labels, records)) == 100
