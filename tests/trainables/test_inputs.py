from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spaces.errors import DataError
from spaces.stages import Stream
from spaces.study import TrainingSection
from spaces.tasks import Catalogue, Task, load_catalogue, parse_task
from tests.trainables import tiny
from trainables.data import load_records
from trainables.formats import FORMATS
from trainables.formats.base import Encoding
from trainables.inputs import TaskInputs
from trainables.tokenising import Tokenising

REAL = os.environ.get("TASKORDER_DATA_ROOT")

TASK = """
name: reviews
version: 1
format: sequence_classification
roles: [intermediate]
description: Reviews
metric: accuracy
languages: [en, de]
max_length: 32
files:
  train:
    - paths: ["reviews/{lang}.jsonl"]
      reader: jsonl_pairs
      options: {text: text, text_pair: "", label: stars}
"""


def task(**changes) -> Task:
    return parse_task(TASK, "reviews.yaml").model_copy(update=changes)


def write(root: Path, language: str, stars: list[str], text: str = "anna sees rome") -> Path:
    path = root / f"reviews/{language}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"text": f"{text} {tiny.sentence(i)}", "stars": label})
        for i, label in enumerate(stars)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "en", ["good", "bad", "-", "good"])
    write(tmp_path, "de", ["bad", "fair", "fair"], text="bert meets lima")
    return tmp_path


def inputs(root: Path, cache: Path, *tasks: Task, tokenizer=None, **training) -> TaskInputs:
    catalogue = Catalogue(tasks or [task()])
    limits = TrainingSection(**training)
    return TaskInputs(catalogue, limits, root, tokenizer or tiny.tokenizer(), cache)


def files(cache: Path) -> dict[Path, int]:
    """Return the cached files and when each was written."""
    return {path: path.stat().st_mtime_ns for path in cache.glob("*/*.arrow")}


def test_languages_follow_each_other_under_the_labels_of_all(root, tmp_path):
    made = inputs(root, tmp_path / "cache")
    stream = Stream("reviews", ("de", "en"))
    assert made.labels("reviews", ("de", "en")) == ("bad", "fair", "good")
    assert [f.label for f in made.train_features(stream)] == [0, 1, 1, 2, 0, 2]
    assert [f.label for f in made.train_features(Stream("reviews"))] == [1, 0, 1]
    first = made.train_features(stream)[0].rows[0]
    text = made.tokenizer.decode(first, skip_special_tokens=True)
    assert text.startswith("bert meets lima")


@pytest.mark.parametrize(("limit", "most", "expected"), [(2, None, 4), (None, 1, 2), (3, 1, 2)])
def test_limits_hold_for_each_language(root, tmp_path, limit, most, expected):
    made = inputs(root, tmp_path / "cache", max_train_examples=most)
    stream = Stream("reviews", ("en", "de"), limit)
    assert len(made.train_features(stream)) == expected


def test_what_is_left_out_is_counted(root, tmp_path):
    cache = tmp_path / "cache"
    for made in (inputs(root, cache), inputs(root, cache)):
        counts = made.train_features(Stream("reviews", ("en", "de"))).counts
        assert (counts.num_records, counts.num_examples) == (6, 6)
        assert sum(counts.left_out.values()) == 1
        (reason,) = counts.left_out
        assert "label" in reason


def test_a_second_process_reads_the_cache(root, tmp_path):
    cache = tmp_path / "cache"
    stream = Stream("reviews")
    first = inputs(root, cache).train_features(stream)
    there = files(cache)
    calls: list[int] = []
    again = inputs(root, cache).train_features(stream, count=calls.append)
    assert files(cache) == there
    assert calls == []
    assert [f.rows[0].tolist() for f in again] == [f.rows[0].tolist() for f in first]


def reading(**options) -> tuple:
    source = task().files["train"][0]
    return {"train": (source.model_copy(update={"options": {**source.options, **options}}),)}


@pytest.mark.parametrize(
    "changed",
    [
        {"max_length": 16},
        {"doc_stride": 4},
        {"options": {"pack": True}},
        {"version": 2},
        {"labels": ("bad", "good", "fair")},
        {"files": reading(drop_label="bad")},
    ],
)
def test_whatever_decides_the_features_decides_the_file(root, tmp_path, changed):
    cache = tmp_path / "cache"
    inputs(root, cache).train_features(Stream("reviews"))
    inputs(root, cache, task(**changed)).train_features(Stream("reviews"))
    assert len(files(cache)) == 2


def test_so_do_the_data_the_limit_the_language_and_the_tokenizer(root, tmp_path):
    cache = tmp_path / "cache"
    stream = Stream("reviews")
    inputs(root, cache).train_features(stream)
    inputs(root, cache).train_features(Stream("reviews", (), 2))
    inputs(root, cache).train_features(Stream("reviews", ("de",)))
    other = tiny.train_tokenizer([tiny.sentence(i, 9) for i in range(50)], 90)
    inputs(root, cache, tokenizer=other).train_features(stream)
    write(root, "en", ["good", "bad", "bad"])
    assert [f.label for f in inputs(root, cache).train_features(stream)] == [1, 0, 0]
    assert len(files(cache)) == 5


def test_what_does_not_decide_them_does_not(root, tmp_path):
    cache = tmp_path / "cache"
    inputs(root, cache).train_features(Stream("reviews"))
    there = files(cache)
    changed = task(name="opinions", epochs=9, description="The same", metric="squad")
    inputs(root, cache, changed).train_features(Stream("opinions"))
    follower = task(name="follower", files={}, train_task="reviews")
    inputs(root, cache, task(), follower).train_features(Stream("follower"))
    assert files(cache) == there


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"}', r"en\.jsonl:5: .*stars"),
        ('{"text": "a \\ud83d", "stars": "good"}', r"en\.jsonl:5: .*surrogate"),
    ],
)
def test_a_bad_record_is_one_clear_error_and_leaves_nothing(root, tmp_path, line, message):
    path = root / "reviews/en.jsonl"
    path.write_text(path.read_text() + line + "\n")
    cache = tmp_path / "cache"
    closed = task(labels=("bad", "good"))
    with pytest.raises(DataError, match=message):
        inputs(root, cache, closed).train_features(Stream("reviews"))
    assert [path.name for path in cache.glob("*/*")] == ["lock"]


def test_a_set_without_labels_is_refused(root, tmp_path):
    source = task().files["train"][0].model_copy(update={"labelled": False})
    blank = task(labels=("bad", "good"), files={"train": (source,)})
    made = inputs(root, tmp_path / "cache", blank)
    message = r"task 'reviews': none of the 4 examples of its training set \(en\) has a label"
    for _ in range(2):
        with pytest.raises(DataError, match=message):
            made.train_features(Stream("reviews"))


def test_progress_goes_on_over_languages(root, tmp_path):
    calls: list[int] = []
    made = inputs(root, tmp_path / "cache")
    with Tokenising(made.tokenizer, num_processes=1) as tokenising:
        made.train_features(Stream("reviews", ("en", "de")), tokenising, calls.append)
    assert calls == [3, 6]


@pytest.mark.parametrize("name", ["xnli", "panx", "squad1"])
def test_the_cached_features_are_those_of_the_format(name, data_root, tmp_path):
    catalogue = load_catalogue().cut(32)
    made = TaskInputs(catalogue, TrainingSection(), data_root, tiny.tokenizer(), tmp_path)
    chosen = catalogue[name]
    records = load_records(chosen, "train", "en", data_root=data_root)
    encoding = Encoding(made.tokenizer, chosen, made.labels(name))
    expected = FORMATS[chosen.format].encode_training(records, encoding)
    found = made.train_features(Stream(name))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert [tuple(row) for row in ours.rows] == list(theirs.rows)
        label = ours.label if isinstance(ours.label, int) else tuple(ours.label)
        assert (label, ours.num_units, ours.record) == (
            theirs.label,
            theirs.num_units,
            theirs.record,
        )


@pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT with the releases' files")
@pytest.mark.parametrize(
    "stream",
    [
        Stream("mnli"),
        Stream("anli_plus", (), 200),
        Stream("squad1", (), 200),
        Stream("hellaswag", (), 200),
        Stream("panx", ("en", "de"), 200),
        Stream("udpos", (), 200),
    ],
    ids=str,
)
def test_real_training_sets(stream, tmp_path):
    made = TaskInputs(load_catalogue(), TrainingSection(), Path(REAL), tiny.tokenizer(), tmp_path)
    found = made.train_features(stream)
    assert len(found) >= found.counts.num_records - found.counts.left_out.get("no label", 0) > 0
    longest = load_catalogue()[stream.task].max_length
    assert all(2 < len(row) <= longest for feature in found for row in feature.rows)
    again = TaskInputs(load_catalogue(), TrainingSection(), Path(REAL), tiny.tokenizer(), tmp_path)
    assert again.train_features(stream).counts == found.counts
