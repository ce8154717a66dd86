"""The task catalogue: its files, its language lists, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.errors import InputError, UnknownNameError
from spaces.languages import TABLE, expand
from spaces.tasks import Task, load_catalogue, parse_task
from trainables.data import GENERATORS
from trainables.metrics import METRICS
from trainables.readers import READERS
from trainables.readers.hub import ROW_CONVERTERS

CATALOGUE = load_catalogue()
PAPERS = [task for task in CATALOGUE.values() if task.group != "mini"]

MINIMAL = """
name: mine
version: 1
format: sequence_classification
roles: [intermediate]
description: one
metric: accuracy
languages: [en]
files: {train: [{paths: [a.tsv], reader: tsv_pairs}]}
"""


def test_the_papers_tasks_are_there() -> None:
    expected = (
        "anli anli_plus bible bucc2018 ccg commonsenseqa copa cosmosqa hellaswag lareqa mewslix"
        " mlqa mnli panx pawsx qqp raw_text siqa snli squad1 squad2 tatoeba tydiqa ud_case ud_feats"
        " ud_lemma ud_number ud_tense ud_text ud_upos udpos xcopa xnli xquad"
    )
    assert set(expected.split()) <= {task.name for task in PAPERS}


@pytest.mark.parametrize(
    ("name", "in_xtreme", "added"),
    [
        *(("xnli", 15, ""), ("pawsx", 7, ""), ("mlqa", 7, ""), ("tydiqa", 9, "")),
        *(("xcopa", 11, ""), ("bucc2018", 4, ""), ("mewslix", 11, "")),
        ("udpos", 33, "lt pl uk wo ro"),
        ("panx", 40, "qu pl uk az lt pa gu ro"),
        ("tatoeba", 36, "az lt pl uk ro"),
        ("xquad", 11, "ro"),
    ],
)
def test_languages_are_xtremes_and_then_those_of_xtreme_r(
    name: str, in_xtreme: int, added: str
) -> None:
    task = CATALOGUE[name]
    assert len(set(task.languages)) == len(task.languages)
    xtreme = task.select_languages(["xtreme"], "here") if added else task.languages
    assert len(xtreme) == in_xtreme
    assert task.languages == (*xtreme, *added.split())


def test_a_language_set_stands_beside_codes_and_groups() -> None:
    task = CATALOGUE["udpos"]
    turkic = task.select_languages(["turkic", "wo"], "here")
    assert turkic == ("kk", "tr", "wo")
    assert task.select_languages(["xtreme", "wo"], "here") == (
        *task.select_languages(["xtreme"], "here"), "wo",
    )  # fmt: skip
    with pytest.raises(UnknownNameError, match=r"here: unknown language.*'xtrem'"):
        task.select_languages(["xtrem"], "here")
    with pytest.raises(InputError, match=r"language_sets\.new: xx not among the task's languages"):
        parse_task(MINIMAL + "language_sets: {new: [xx]}\n", "test")


@pytest.mark.parametrize("task", CATALOGUE.values(), ids=lambda task: task.name)
def test_every_name_a_task_uses_exists(task: Task) -> None:
    assert task.metric in METRICS
    assert task.train_task is None or task.train_task in CATALOGUE
    assert task.generator is None or task.generator in GENERATORS
    assert task.hub is None or task.hub.reader in ROW_CONVERTERS
    for entries in task.files.values():
        for entry in entries:
            assert entry.reader in READERS
            assert set(entry.languages) <= {*task.languages, task.train_language}


@pytest.mark.parametrize("task", PAPERS, ids=lambda task: task.name)
def test_every_placeholder_can_be_filled(task: Task) -> None:
    for language in (*task.languages, task.train_language):
        assert language in TABLE
        for entries in task.files.values():
            for entry in entries:
                assert "{lang" not in str(expand([entry.paths, entry.options], language))
        if task.hub:
            assert "{" not in (expand(task.hub.config, language) or "")


@pytest.mark.parametrize("task", PAPERS, ids=lambda task: task.name)
def test_a_target_can_be_trained_unless_it_is_retrieval(task: Task) -> None:
    names = task.parts or ((task.train_task,) if task.train_task else (task.name,))
    for source in (CATALOGUE[name] for name in names):
        assert "train" in source.files or not task.trains
        assert source.format == task.format


def test_identity_follows_the_definition_but_not_its_wording() -> None:
    task = parse_task(MINIMAL, "test")
    assert task.identity == parse_task(MINIMAL.replace("one", "two"), "test").identity
    assert task.identity != parse_task(MINIMAL.replace("version: 1", "version: 2"), "t").identity


def test_unknown_task_lists_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown task 'mnlli'\. Did you mean 'mnli'"):
        CATALOGUE["mnlli"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: mine", "name: Mine!"), r"name: 'Mine!' does not match .*letters"),
        (("version: 1", "version: 0"), r"version: .*greater than or equal to 1 \(got 0\)"),
        (("[en]", "[]"), r"languages: "),
        (
            ("metric: accuracy", "metrics: accuracy"),
            r"metric: required, and missing; metrics: unknown key\. Did you mean 'metric'",
        ),
        (("reader: tsv_pairs", "readers: x"), r"files.train.0.reader: required, and missing"),
        (("files:", "# files:"), r"a task needs one of 'generator', 'files', 'hub' or 'parts'"),
    ],
)
def test_invalid_task_files(change: tuple[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_task(MINIMAL.replace(*change), "mine.yaml")


def test_what_is_not_a_mapping_of_yaml() -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: not valid YAML"):
        parse_task("a: [", "mine.yaml")
    with pytest.raises(InputError, match=r"holds a mapping \(key: value\), not a list"):
        parse_task("[1]", "mine.yaml")


def test_task_folders(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINIMAL)
    assert load_catalogue((str(tmp_path),))["mine"].description == "one"
    (tmp_path / "other.yaml").write_text(MINIMAL.replace("mine", "mnli"))
    with pytest.raises(InputError, match="the task name 'mnli' is taken"):
        load_catalogue((str(tmp_path), str(tmp_path)))
    with pytest.raises(InputError, match="is not a folder"):
        load_catalogue((str(tmp_path / "absent"),))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \*\.yaml"):
        load_catalogue((str(tmp_path / "empty"),))


def test_placeholders() -> None:
    assert expand("{lang}/{lang3}/{lang_name}/{lang_name_lower}", "sw") == "sw/swh/Swahili/swahili"
    assert expand(("a-{lang}", ["{lang3}"], {"k": "{lang}"}, 3), "de") == (
        "a-de",
        ["deu"],
        {"k": "de"},
        3,
    )
    assert expand("{lang}.txt", "sib") == "sib.txt"
    with pytest.raises(UnknownNameError, match="unknown language 'sib'"):
        expand("{lang3}.txt", "sib")
