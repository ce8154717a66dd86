from __future__ import annotations

import io

import pytest
from rich.console import Console

from search.task_listing import Entry, describe_list, look_up, render_list, select_tasks
from search.task_page import describe_page, find_holdings, render_page
from spaces.errors import InputError, UnknownNameError
from spaces.holdings import Holding
from spaces.tasks import Task, load_catalogue
from trainables.shelf import DataRootShelf

CATALOGUE = load_catalogue()
HUB = {"path": "us/things", "config": "{lang}", "splits": {}, "reader": "tagging"}
WIDTHS = (80, 100, 120, 200)
NOTHING_YET = [Entry(task) for task in CATALOGUE.values()]


def show(shown, width=80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(shown)
    return console.file.getvalue()


def task(name="mine", **changes) -> Task:
    fields = {
        "name": name,
        "version": 1,
        "format": "token_classification",
        "roles": ["target"],
        "description": "Names of things",
        "metric": "seqeval_f1",
        "labels": ["O", "B-THING"],
        "languages": ["fi", "sw"],
        "files": {
            "train": [{"paths": ["mine/en.tsv"], "reader": "token_tags"}],
            "dev": [{"paths": ["mine/{lang}.tsv", "old/{lang}.tsv"], "reader": "token_tags"}],
            "test": [
                {
                    "paths": [["mine/*.words", "mine/{lang3}.tags"]],
                    "reader": "token_tags",
                    "labelled": False,
                }
            ],
        },
        "group": "papers",
    }
    return Task.model_validate({**fields, **changes})


@pytest.fixture
def root(tmp_path):
    """Return a data root with two training sentences of ``task()`` and one of its languages."""
    for name, text in {
        "mine/en.tsv": "a\tO\n\nb\tB-THING\n",
        "mine/fi.tsv": "c\tO\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def shelf(root):
    return DataRootShelf(CATALOGUE, root)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_task_stands_on_one_line_that_fits(width):
    lines = show(render_list(NOTHING_YET, width), width).splitlines()
    assert max(map(len, lines)) <= width
    for entry in NOTHING_YET:
        (line,) = [line for line in lines if line.split()[:1] == [entry.task.name]]
        assert entry.task.metric in line
    assert any("nyu-mll/multi_nli" in line for line in lines)
    described = [line for line in lines if "Adversarial entailment" in line]
    assert len(described) == (width == 200)


def test_headings_tell_sections_and_roles_apart():
    mine = Entry(task(group="our lab", roles=["intermediate", "target"]))
    lines = show(render_list([*NOTHING_YET, mine], 80)).splitlines()
    headings = [line for line in lines if " tasks" in line and not line.startswith(("task", "R"))]
    assert headings == [
        "Intermediate and target tasks of our lab",
        "Intermediate tasks",
        "Target tasks",
        "Intermediate and target tasks",
        "Intermediate tasks of mini",
        "Target tasks of mini",
    ]


def test_what_a_data_root_holds_is_counted(shelf):
    entries = look_up([task(), task("other", files={}, hub=HUB), CATALOGUE["mini_xnli"]], shelf)
    assert entries[0].training == Holding("files", 2)
    assert [entry.num_languages for entry in entries] == [1, 0, 5]
    lines = show(render_list(entries, 80)).splitlines()
    assert "mine   tagging  seqeval_f1  1/2        2  files" in lines
    assert "other  tagging  seqeval_f1  0/2        -  -" in lines
    assert "mini_xnli  classification  accuracy  5/5    2,000  generated" in lines


def test_a_malformed_file_is_told_and_stops_nothing(root, shelf):
    (root / "mine/en.tsv").write_text("a\tO\nb\tB-THNG\n")
    text = show(render_list(look_up([task(), task("also")], shelf), 200), 200)
    assert [line.split()[5] for line in text.splitlines()[2:4]] == ["malformed", "malformed"]
    assert f"mine: {root}/mine/en.tsv:2: the label 'B-THNG' is not one of the task's." in text
    page = show(render_page(task(), root, find_holdings(task(), shelf)), 200)
    assert "malformed" in page
    assert "B-THNG" in page
    (found,) = describe_list(look_up([task()], shelf))
    assert "B-THNG" in found["found"]["error"]


def test_a_task_that_is_not_trained_has_nothing_to_count(shelf):
    retrieval = task(format="retrieval", labels=[], files={}, hub=HUB)
    lines = show(render_list(look_up([retrieval], shelf), 80)).splitlines()
    assert lines[-1].split() == ["mine", "retrieval", "seqeval_f1", "0/2", "untrained"]


def test_a_page_says_all_of_a_task():
    page = show(render_page(task(hub=HUB | {"splits": {"dev": "validation"}}), None, None))
    for fact in (
        "Names of things",
        "token_classification",
        "O B-THING",
        "fi sw",
        "in English",
        "3 epochs at learning rate 2e-05",
        "up to 128 subwords",
        "mine/{lang}.tsv",
        "+ mine/{lang3}.tags",
        "(no labels)",
        "Else on the Hugging Face hub: us/things, configuration {lang}; dev is",
    ):
        assert fact in page
    assert "found" not in page


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits(width, root):
    for name, shown in CATALOGUE.items():
        languages = (shown.train_language, *shown.languages)
        holdings = {s: {code: Holding() for code in languages} for s in ("train", "dev", "test")}
        lines = show(render_page(shown, root, holdings), width).splitlines()
        assert lines[0].strip() == name
        assert max(map(len, lines)) <= width


def test_a_page_counts_by_language(root, shelf):
    holdings = find_holdings(task(), shelf)
    lines = [line.rstrip() for line in show(render_page(task(), root, holdings)).splitlines()]
    for line in (
        "train  mine/en.tsv                token_tags   yes",
        "dev    mine/{lang}.tsv            token_tags   1 of 2",
        "       old/{lang}.tsv                          -",
        "test   mine/*.words               token_tags   -",
        "       + mine/{lang3}.tags        (no labels)",
        "en  English      2    2     -  files",
        "fi  Finnish      -    1     -  files",
        "Nothing is there: sw.",
    ):
        assert line in lines
    found = describe_page(task(), holdings)["found"]
    assert found["train"] == {"en": {"where": "files", "num_examples": 2, "error": ""}}
    assert set(found["dev"]) == {"en", "fi"}
    assert found["test"] == {}


def test_a_page_names_the_tasks_that_train_it():
    pages = {name: show(render_page(CATALOGUE[name], None, None)) for name in CATALOGUE}
    assert "on squad1" in pages["xquad"]
    assert "Its training set is that of squad1." in pages["xquad"]
    assert "on siqa, then on copa" in pages["xcopa"]
    assert "on anli, mnli, snli together" in pages["anli_plus"]
    assert "none: it is evaluated as it is" in pages["tatoeba"]
    assert "windows overlapping by 128" in pages["squad1"]
    assert "Its records are generated by mini." in pages["mini_qa"]


def test_a_page_says_where_nothing_is(root):
    holdings = {
        "train": {"en": Holding("hub"), "fi": Holding(), "sw": Holding("hub")},
        "dev": {"en": Holding(), "fi": Holding(), "sw": Holding()},
        "test": {"en": Holding(), "fi": Holding(), "sw": Holding()},
    }
    page = show(render_page(task(), root, holdings))
    assert page.endswith("Nothing is there: fi.\nOnly on the hub: sw.\n")
    assert "language " not in page


def test_tasks_are_chosen_by_role_and_section():
    mini = select_tasks(CATALOGUE, None, "mini")
    assert {task.group for task in mini} == {"mini"}
    targets = select_tasks(CATALOGUE, "target", "mini")
    assert {task.name for task in targets} == {
        task.name for task in mini if task.name in CATALOGUE and "target" in task.roles
    }
    assert select_tasks(CATALOGUE, None, None) == list(CATALOGUE.values())
    with pytest.raises(UnknownNameError, match="--role: unknown role 'targets'"):
        select_tasks(CATALOGUE, "targets", None)
    with pytest.raises(UnknownNameError, match="--group: unknown group 'paper'"):
        select_tasks(CATALOGUE, None, "paper")
    only_mine = type(CATALOGUE)([task(group="mine"), *CATALOGUE.values()])
    with pytest.raises(InputError, match="no task is of both"):
        select_tasks(only_mine, "intermediate", "mine")
