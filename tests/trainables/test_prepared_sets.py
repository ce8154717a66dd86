from __future__ import annotations

import json

import pytest

from spaces.errors import DataError
from spaces.study import load_study
from tests.trainables import tiny
from trainables.mini import MODEL_DIR
from trainables.prepared_sets import prepare_training_sets


def test_everything_a_study_trains_on_is_prepared_once(tiny_model, data_root, tmp_path):
    study = tiny.study(tiny_model)
    told: list[tuple[str, int, int | None]] = []

    def prepare(cache=tmp_path):
        return prepare_training_sets(
            study,
            str(tiny_model),
            data_root,
            cache,
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


def test_a_bad_record_is_found_before_anything_is_trained(tiny_model, tmp_path):
    root = tiny.write_data(tmp_path / "data")
    train = root / "squad/train-v1.1.json"
    document = json.loads(train.read_text())
    question = document["data"][0]["paragraphs"][7]["qas"][0]
    question["question"] = "where is \ud800"
    train.write_text(json.dumps(document))
    message = r"train-v1\.1\.json: data\[0\]\.paragraphs\[7\].*surrogate"
    with pytest.raises(DataError, match=message):
        prepare_training_sets(
            tiny.study(tiny_model), str(tiny_model), root, tmp_path / "cache", num_processes=1
        )


@pytest.mark.slow
def test_generated_tasks_are_prepared_as_well(tmp_path):
    study = load_study("mini", ("training.max_train_examples=60",))
    prepared = prepare_training_sets(study, str(MODEL_DIR), None, tmp_path, num_processes=1)
    assert {p.num_tokenised for p in prepared} == {60}
    again = prepare_training_sets(study, str(MODEL_DIR), None, tmp_path, num_processes=1)
    assert {p.num_tokenised for p in again} == {0}
