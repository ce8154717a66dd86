from __future__ import annotations

import pytest

from spaces.errors import DataError
from spaces.study import load_study
from tests.trainables import tiny
from trainables.mini import MODEL_DIR
from trainables.prepared_sets import prepare_training_sets


def test_everything_a_study_trains_on_is_prepared_once(tiny_model, data_root, tmp_path):
    study = tiny.study(tiny_model)
    told: list[tuple[str, int, int | None]] = []

    def prepare():
        return prepare_training_sets(
            study,
            str(tiny_model),
            data_root,
            tmp_path,
            progress=lambda *progress: told.append(progress),
            sizes={"squad1": 40, "xnli": 0},
            num_processes=1,
        )

    first = prepare()
    assert [(p.stream, p.counts.num_records, p.num_tokenised) for p in first] == [
        ("squad1", 40, 40),
        ("xnli", 40, 40),
        ("panx", 40, 40),
    ]
    assert told == [("squad1", 40, 40), ("xnli", 40, None), ("panx", 40, None)]
    told.clear()
    again = prepare()
    assert told == []
    assert [(p.stream, p.counts, p.num_tokenised) for p in again] == [
        (p.stream, p.counts, 0) for p in first
    ]


@pytest.fixture
def large(tmp_path):
    """Return a data root whose XNLI takes a while."""
    root = tiny.write_data(tmp_path / "large")
    train = root / "xnli/train-en.tsv"
    train.write_text(train.read_text() * 500, encoding="utf-8")
    return root


def prepare_large(model, root, cache, progress):
    return prepare_training_sets(
        tiny.study(model, intermediate={"tasks": ["xnli"], "max_length": 1}),
        str(model),
        root,
        cache,
        progress=progress,
        num_processes=1,
    )


def test_a_bad_record_is_found_before_anything_is_trained(tiny_model, large, tmp_path):
    train = large / "xnli/train-en.tsv"
    train.write_text(train.read_text() + "only one column\n", encoding="utf-8")
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"train-en\.tsv:20001: found 1, expected 3 columns"):
        prepare_large(tiny_model, large, cache, None)
    assert [path.name for path in cache.glob("*/*")] == ["lock"]


def interrupt(*_) -> None:
    raise KeyboardInterrupt


def test_an_interruption_leaves_nothing_behind(tiny_model, large, tmp_path):
    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        prepare_large(tiny_model, large, cache, interrupt)
    assert [path.name for path in cache.glob("*/*")] == ["lock"]


@pytest.mark.slow
def test_generated_tasks_are_prepared_as_well(tmp_path):
    study = load_study("mini", ("training.max_train_examples=60",))
    counts = []
    for expected in (60, 0):
        prepared = prepare_training_sets(study, str(MODEL_DIR), None, tmp_path, num_processes=1)
        assert {p.num_tokenised for p in prepared} == {expected}
        counts.append([p.counts for p in prepared])
    assert counts[0] == counts[1]
