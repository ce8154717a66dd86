from __future__ import annotations

import os
from pathlib import Path

import pytest

from spaces.errors import InputError
from spaces.holdings import Holding
from spaces.tasks import Catalogue, Task, load_catalogue
from trainables.shelf import DataRootShelf

REAL = os.environ.get("TASKORDER_DATA_ROOT")
CATALOGUE = load_catalogue()
FIELDS = {
    "version": 1,
    "format": "masked_lm",
    "roles": ["intermediate"],
    "description": "",
    "metric": "accuracy",
    "languages": ["en", "sw"],
}


def text_task(name: str, **changes) -> Task:
    files = {"train": [{"paths": [f"{name}/{{lang}}.txt"], "reader": "plain_text"}]}
    return Task.model_validate({"name": name, **FIELDS, "files": files, **changes})


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def _network_allowed(monkeypatch):
    """Let sources be looked for as without any setting: nothing here downloads."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TASKORDER_HUB_ROOT"):
        monkeypatch.delenv(name, raising=False)


def test_files_are_counted(tmp_path):
    write(tmp_path, "a/en.txt", "one\ntwo\n")
    shelf = DataRootShelf(CATALOGUE, tmp_path)
    task = text_task("a")
    assert shelf.hold(task, "train", "en") == Holding("files", 2)
    assert shelf.hold(task, "train", "sw") == Holding()
    assert shelf.hold(task, "dev", "en") == Holding()
    assert [shelf.has(task, "train", code) for code in task.languages] == [True, False]


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/en.txt").write_bytes(b"one\n\xff\n")
    held = DataRootShelf(CATALOGUE, tmp_path).hold(text_task("a"), "train", "en")
    assert (held.where, held.num_examples) == ("", None)
    assert f"{tmp_path}/a/en.txt:2: found byte 0xff" in held.error


def test_parts_are_counted_together_and_must_all_be_there(tmp_path):
    write(tmp_path, "a/en.txt", "one\ntwo\n")
    both = text_task("both", files={}, parts=["a", "b"])
    catalogue = Catalogue([text_task("a"), text_task("b"), both])
    shelf = DataRootShelf(catalogue, tmp_path)
    assert shelf.hold(both, "train", "en") == Holding()
    write(tmp_path, "b/en.txt", "three\n")
    assert shelf.hold(both, "train", "en") == Holding("files", 3)
    assert shelf.has(both, "train", "en")


def test_what_would_come_from_the_network_is_not_counted(tmp_path):
    hub = {"path": "us/text", "splits": {"train": "train"}, "reader": "pairs"}
    shelf = DataRootShelf(CATALOGUE, tmp_path)
    task = text_task("a", files={}, hub=hub)
    assert shelf.hold(task, "train", "en") == Holding("hub")
    assert not shelf.has(task, "train", "en")


def test_a_copy_of_the_hub_is_counted(tmp_path):
    write(tmp_path, "hub/nyu-mll/glue/qqp/train.csv", "question1,question2,label,idx\na,b,0,0\n")
    shelf = DataRootShelf(CATALOGUE, tmp_path)
    assert shelf.hold(CATALOGUE["qqp"], "train", "en") == Holding("hub", 1)


def test_generated_tasks_are_counted_where_they_are_made(tmp_path):
    shelf = DataRootShelf(CATALOGUE, tmp_path)
    held = {
        (name, split, language): shelf.hold(CATALOGUE[name], split, language).num_examples
        for name in ("mini_pos", "mini_mlm", "mini_tatoeba")
        for split in ("train", "dev")
        for language in ("en", "agg")
    }
    assert held == {
        ("mini_pos", "train", "en"): 2000,
        ("mini_pos", "train", "agg"): None,
        ("mini_pos", "dev", "en"): 240,
        ("mini_pos", "dev", "agg"): 240,
        ("mini_mlm", "train", "en"): 8000,
        ("mini_mlm", "train", "agg"): 8000,
        ("mini_mlm", "dev", "en"): 240,
        ("mini_mlm", "dev", "agg"): 240,
        ("mini_tatoeba", "train", "en"): None,
        ("mini_tatoeba", "train", "agg"): None,
        ("mini_tatoeba", "dev", "en"): None,
        ("mini_tatoeba", "dev", "agg"): 200,
    }


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"--data-root: '.*nowhere' is not a folder\."):
        DataRootShelf(CATALOGUE, tmp_path / "nowhere")


@pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")
def test_real_files_are_counted():
    shelf = DataRootShelf(CATALOGUE, Path(REAL))
    xquad = CATALOGUE["xquad"]
    assert shelf.hold(xquad, "train", "en") == shelf.hold(CATALOGUE["squad1"], "train", "en")
    assert shelf.hold(xquad, "test", "es").where == "files"
    for task in CATALOGUE.values():
        if task.trains:
            assert not shelf.hold(task, "train", task.train_language).error, task.name
