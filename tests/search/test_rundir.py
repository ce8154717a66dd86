"""The study in a run directory is the one that was launched."""

from __future__ import annotations

import pytest
from rich.console import Console

from search.launch import launch, resume
from search.rundir import RunDirectory
from spaces.errors import InputError, RunDirectoryError, TaskorderError
from spaces.study import load_study, parse_study, ready_made_studies

NULLS = """
name: nulls
model: {name: mini}
intermediate:
  tasks: [even, mini_qa]
  max_length: 2
  stages: {even: {tasks: [mini_entail, mini_supertag], sampling: uniform}}
targets: [mini_pos]
search: {asha: null}
"""


@pytest.mark.parametrize("name", [*ready_made_studies(), "nulls"])
def test_a_study_is_read_as_it_was_launched(tmp_path, name):
    study = parse_study(NULLS, name) if name == "nulls" else load_study(name)
    directory = RunDirectory(tmp_path / "run")
    directory.create(study, None)
    assert directory.read()[0] == study


def test_null_is_not_the_default(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.create(parse_study(NULLS, "study"), None)
    study, _ = directory.read()
    assert study.search.asha is None
    assert study.intermediate.stages["even"].sampling.temperature is None


def test_a_study_file_that_is_no_text_or_lacks_what_launch_wrote_is_told(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.create(parse_study(NULLS, "study"), None)
    whole = directory.study_file.read_bytes()
    directory.study_file.write_bytes(whole.partition(b"resolved:")[0])
    with pytest.raises(RunDirectoryError, match=r"no section 'resolved'.* launch the study anew"):
        directory.read()
    directory.study_file.write_bytes(b"name: \xff" + whole)
    with pytest.raises(InputError, match=r"study\.yaml' cannot be read: not UTF-8 text, at byte 6"):
        directory.read()


def test_a_damaged_ledger_is_named_by_resume(tmp_path):
    run_dir = tmp_path / "run"
    directory = RunDirectory(run_dir)
    directory.create(load_study("mini"), None)
    (run_dir / "optuna.db").write_bytes(b"not a database" * 100)
    with pytest.raises(RunDirectoryError, match=r"optuna\.db cannot be opened: file is not a data"):
        resume(run_dir, address=None, console=Console(quiet=True))


@pytest.mark.parametrize(
    ("key", "url", "says"),
    [
        ("optuna", "nonsense://x", "ledger nonsense://x cannot be opened"),
        ("optuna", "sqlite:////nowhere/x.db", "unable to open database file"),
        ("stages", "nosuch://x", "storage.stages: 'nosuch://x' cannot be opened"),
    ],
)
def test_storage_that_cannot_be_opened_leaves_no_run_directory(tmp_path, key, url, says):
    study = load_study("mini", (f"storage.{key}={url}",))
    with pytest.raises(TaskorderError, match=says):
        launch(study, tmp_path / "run", None, address=None, console=Console(quiet=True))
    assert not (tmp_path / "run").exists()
