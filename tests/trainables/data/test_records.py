"""Where a task's records come from, and what is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError
from spaces.tasks import load_catalogue
from tests.trainables.data.sources import CATALOGUE, load, make
from trainables.data import (
    available,
    available_languages,
    check_sources,
    is_labelled,
    label_names,
    load_records,
    resolve_paths,
)
from trainables.metrics import gold_labels
from trainables.records import ClassificationRecord


def test_records_of_a_file(root: Path) -> None:
    assert load("xnli", "dev", "de", root) == [
        ClassificationRecord("0", "c", "d", "entailment"),
        ClassificationRecord("1", "e", "f", "neutral"),
    ]
    assert [record.id for record in load("xnli", "dev", "de", root, limit=1)] == ["0"]


def test_several_treebanks_are_read_together(root: Path) -> None:
    records = load("udpos", "test", "de", root)
    assert [record.id for record in records] == ["de_gsd-ud-test/s1", "de_hdt-ud-test/s1"]
    assert [record.tags for record in records] == [("ADJ",), ("VERB",)]
    paths = resolve_paths(CATALOGUE["udpos"], "test", "de", root)
    assert [path.name for path in paths] == ["de_gsd-ud-test.conllu", "de_hdt-ud-test.conllu"]


def test_training_and_english_dev_come_from_the_training_task(root: Path) -> None:
    assert [record.id for record in load("xquad", "train", "en", root)] == ["q", "q#2"]
    assert [record.id for record in load("xquad", "dev", "en", root)] == ["d"]
    assert [record.id for record in load("xquad", "test", "de", root)] == ["x"]
    assert not available(CATALOGUE["xquad"], "dev", "de", root)


def test_blanked_test_sets_are_known_as_such(root: Path) -> None:
    def labelled(name: str, split: Any, language: str) -> bool:
        return is_labelled(CATALOGUE[name], split, language, data_root=root)

    assert labelled("xnli", "dev", "de")
    assert not labelled("xnli", "test", "de")
    assert labelled("tatoeba", "test", "de")
    assert not labelled("tatoeba", "test", "fr")
    assert labelled("xquad", "test", "de")
    assert labelled("udpos", "test", "de")


def test_a_limit_keeps_the_candidates_of_the_queries(root: Path) -> None:
    records = load("tatoeba", "test", "de", root, limit=1)
    assert [record.id for record in records] == ["q0", "c0", "c1"]
    assert gold_labels(records) == {"q0": ("c0",)}


def test_available_languages_follow_the_tasks_order(root: Path) -> None:
    assert available_languages(CATALOGUE["xnli"], "dev", root) == ("de", "en")
    assert available_languages(CATALOGUE["xnli"], "test", root) == ("de",)
    assert available_languages(CATALOGUE["panx"], "dev", root) == ()


def test_a_missing_file_names_everything_one_needs_to_know(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("xnli", "dev", "fr", root)
    message = str(caught.value)
    for part in (
        "task 'xnli' has no dev data in 'fr'",
        "xnli/dev-fr.tsv",
        "XNLI-1.0/xnli.dev.tsv",
        f"below the data root {root}",
        "Languages that are there: de, en.",
        "hub/facebook/xnli",
    ):
        assert part in message


def test_without_a_data_root_the_message_asks_for_one() -> None:
    with pytest.raises(DataError, match=r"there is no data root\. Give the folder .* --data-root"):
        load("xnli", "dev", "fr", None)


def test_an_empty_file_is_an_error(root: Path) -> None:
    (root / "xnli/dev-en.tsv").write_text("\n")
    with pytest.raises(DataError, match="task 'xnli', dev split, 'en': there is no record"):
        load("xnli", "dev", "en", root)


def test_errors_inside_a_file_give_file_and_line(root: Path) -> None:
    (root / "xnli/dev-en.tsv").write_text("a\tb\tneutral\nc\n")
    with pytest.raises(DataError, match=r"dev-en\.tsv:2: found 1, expected 3 columns"):
        load("xnli", "dev", "en", root)


def test_a_wrong_option_names_the_task(root: Path) -> None:
    task = make(
        files={
            "train": [
                {"paths": ["udpos/train-en.tsv"], "reader": "token_tags", "options": {"x": 1}}
            ]
        }
    )
    with pytest.raises(ValueError, match="task 'mine', train split: unknown reader option 'x'"):
        load_records(task, "train", "en", data_root=root)


def test_generated_tasks_need_no_data_root() -> None:
    task = CATALOGUE["mini_xnli"]
    assert load_records(task, "dev", task.languages[0], data_root=None)
    assert available_languages(task, "dev", None) == task.languages
    check_sources(task, None, None, role="target", splits=("train", "dev"))
    assert set(label_names(task, data_root=None)) >= {"entailment"}


def test_a_generated_task_trains_in_its_own_language_alone_but_for_text():
    catalogue = load_catalogue()
    assert available(catalogue["mini_pos"], "train", "en", None)
    assert available(catalogue["mini_mlm"], "train", "sib", None)
    assert not available(catalogue["mini_pos"], "train", "sib", None)
    with pytest.raises(DataError, match="'mini_pos' has no train data in 'sib': it is generated"):
        check_sources(catalogue["mini_pos"], ["sib"], None, role="intermediate")


def test_labels_are_the_closed_list_or_those_of_training(root: Path) -> None:
    files = {"train": [{"paths": ["udpos/train-{lang}.tsv"], "reader": "token_tags"}]}
    assert label_names(make(files=files), data_root=root) == ("DET", "NOUN")
    assert label_names(make(files=files, labels=["NOUN", "DET"]), data_root=root) == ("NOUN", "DET")
    assert label_names(CATALOGUE["squad1"], data_root=root) == ()


def test_labels_follow_the_training_set(root: Path) -> None:
    files = {"train": [{"paths": ["udpos/train-{lang}.tsv"], "reader": "token_tags"}]}
    task = make(files=files)
    label_names(task, data_root=root)
    path = root / "udpos/train-en.tsv"
    path.write_text("a\tX\n")
    os.utime(path, ns=(1, 1))
    assert label_names(task, data_root=root) == ("X",)
