"""The page on tasks is true: no key, reader, option or metric is missing, and its commands run."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from search.cli import main
from spaces.errors import InputError
from spaces.languages import GROUPS, expand, resolve_languages
from spaces.study import parse_study
from spaces.tasks import FileSource, Format, HubSource, Task, load_catalogue, parse_task
from trainables.metrics import METRICS
from trainables.readers import READERS
from trainables.readers.rows import ROW_CONVERTERS

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"^\$ taskorder ([^#\n]*)", PAGE, flags=re.MULTILINE)
(OWN_TASK,) = [block for block in BLOCKS if block.startswith("name: masakhaner\n")]
(OWN_STUDY,) = [block for block in BLOCKS if block.startswith("name: african-ner\n")]


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, str]:
    """Return the rows of a section's tables by each name in their first cell."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
                found[name] = line
    return found


def named(text: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)", text))


@pytest.mark.parametrize(
    ("title", "model"),
    [("The task file", Task), ("Files", FileSource), ("The Hugging Face hub", HubSource)],
)
def test_every_key_is_on_the_page(title, model):
    assert set(rows(section(title))) >= set(model.model_fields)


def test_defaults_are_those_of_the_schema():
    table = rows(section("The task file"))
    for key in ("train_language", "max_length", "doc_stride", "group"):
        default = Task.model_fields[key].default
        assert table[key].split("|")[2].strip().strip("`") == str(default)
    epochs, rate = table["epochs"].split("|")[2].split(",")
    assert float(epochs) == Task.model_fields["epochs"].default
    assert float(rate) == Task.model_fields["learning_rate"].default


def test_every_format_and_its_options_are_on_the_page():
    names = named(section("The task file"))
    assert names >= set(get_args(Format))
    assert names >= {option for task in load_catalogue().values() for option in task.options}


def test_every_reader_and_its_options_are_on_the_page():
    table = rows(section("Readers"))
    assert set(table) == set(READERS)
    for name, reader in READERS.items():
        called = re.search(r"check_options\((.*?)\)", inspect.getsource(reader), flags=re.DOTALL)
        options = set(re.findall(r'"(\w+)"', called[1])) if called else set()
        stated = named(table[name].split("|")[3])
        assert options <= stated, name
        assert bool(options) == bool(stated), name


def test_every_hub_reader_is_on_the_page():
    assert named(rows(section("The Hugging Face hub"))["reader"]) >= set(ROW_CONVERTERS)


def test_every_metric_is_on_the_page():
    assert set(rows(section("Metrics"))) == set(METRICS)


def test_placeholders_are_expanded_as_the_page_says():
    table = rows(section("Files"))
    for placeholder in ("{lang}", "{lang3}", "{lang_name}", "{lang_name_lower}"):
        _, of_zh, of_sw = table[placeholder].strip("| ").split(" | ")
        assert (expand(placeholder, "zh"), expand(placeholder, "sw")) == (of_zh, of_sw)


def test_the_groups_exist_and_so_do_their_languages():
    text = section("Language groups")
    table = text.split("| groups by")[1].split("\n\n")[0]
    assert named(table) <= set(GROUPS)
    (block,) = [block for block in BLOCKS if block.startswith("targets:")]
    for target in yaml.safe_load(block)["targets"]:
        task = load_catalogue()[target["name"]]
        assert resolve_languages(target["languages"], task.languages, target["name"])


def test_the_fragments_are_parts_of_a_task():
    whole = yaml.safe_load(OWN_TASK)
    for start in ("files:", "hub:"):
        (block,) = [block for block in BLOCKS if block.startswith(start)]
        parse_task(yaml.safe_dump({**whole, **yaml.safe_load(block)}), "docs/tasks.md")


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Stand in a folder with the page's own task in ``my-tasks``."""
    (tmp_path / "my-tasks").mkdir()
    (tmp_path / "my-tasks/masakhaner.yaml").write_text(OWN_TASK, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_study_of_ones_own_task_is_valid(own_folder):
    study = parse_study(OWN_STUDY, "docs/tasks.md")
    assert study.catalogue()["masakhaner"].train_language == "ha"
    with pytest.raises(InputError, match="has no language among"):
        parse_study(OWN_STUDY.replace("niger_congo", "uralic"), "docs/tasks.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(command, own_folder, monkeypatch, capsys):
    monkeypatch.delenv("TASKORDER_DATA_ROOT", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = [
        str(own_folder) if argument.startswith("~") else argument
        for argument in shlex.split(command)
    ]
    monkeypatch.setattr(sys, "argv", ["taskorder", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr().out


def test_there_are_commands_to_run():
    assert len(COMMANDS) == 6
