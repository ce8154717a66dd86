from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from search.cli import main


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run the command line in an empty folder; return its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKORDER_DATA_ROOT", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["taskorder", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return call


BAD_INPUT = {
    "unknown study": (["nope"], "unknown study 'nope'. Known: low-resource-mlm,"),
    "near match": (["mimi"], "Did you mean 'mini'?"),
    "missing file": (["no/such.yaml"], "study file 'no/such.yaml' does not exist"),
    "unknown key": (["mini", "--set", "serch.num_trials=3"], "Did you mean 'search'?"),
    "wrong type": (["mini", "--set", "search.num_trials=many"], "search.num_trials: should be a"),
    "malformed override": (["mini", "--set", "search"], "write key=value"),
    "unknown task": (["mini", "--set", "targets=[mini_poss]"], "Did you mean 'mini_pos'"),
    "unknown sampler": (["mini", "--set", "search.sampler=sequense"], "Did you mean 'sequence'?"),
    "batch that does not divide": (
        ["mini", "--set", "resources={workers_per_trial: 3, cpus_per_worker: 0.001}"],
        "training.batch_size: 32 does not divide over 3 workers",
    ),
    "range that does not divide": (
        [
            "mini", "--set", "resources={workers_per_trial: 2, cpus_per_worker: 0.001}",
            "--set", "hyperparameters.target.batch_size={int_uniform: [8, 32]}",
        ],
        "a range has values that do not divide over 2 workers",
    ),
    "wrong data root": (["real-small", "--data-root", "nowhere"], "'nowhere' is not a folder"),
    "missing model": (["mini", "--set", "model.name=./no-model"], "'./no-model' does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("command", ["check", "launch"])
@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_2_one_message_and_nothing_written(cli, tmp_path, command, case):
    arguments, message = BAD_INPUT[case]
    status, out, err = cli(command, *arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


TOO_MUCH = {
    "resources={workers_per_trial: 2, cpus_per_worker: 50000}": "a trial needs 100000 CPUs",
    "resources.gpus_per_worker=1000": "a trial needs 1000 GPUs",
}


@pytest.mark.parametrize("override", TOO_MUCH)
def test_what_this_machine_lacks_is_refused_by_launch(cli, tmp_path, override):
    status, out, err = cli("launch", "mini", "--set", override)
    assert (status, out) == (2, "")
    assert TOO_MUCH[override] in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("override", TOO_MUCH)
def test_what_this_machine_lacks_is_noted_by_check(cli, override):
    # A study meant for a cluster is validated and priced where it is written.
    status, out, err = cli("check", "mini", "--set", override)
    assert (status, err) == (0, "")
    assert TOO_MUCH[override] in " ".join(out.split())


def test_data_without_a_data_root_is_refused_by_launch_and_noted_by_check(cli, tmp_path):
    # So the full studies are validated where they are written, which need not be where data is.
    status, out, err = cli("launch", "real-small")
    assert (status, out) == (2, "")
    assert "Give the folder of the releases with --data-root" in err
    status, out, err = cli("check", "real-small")
    assert (status, err) == (0, "")
    assert "Give the folder of the releases with --data-root" in " ".join(out.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["resume", "status", "report"])
def test_a_missing_run_directory_is_named(cli, command):
    status, out, err = cli(command, "runs/nothing")
    assert (status, out) == (2, "")
    assert err.startswith("error: runs/nothing")
    assert "taskorder launch" in err


def test_a_folder_of_something_else_is_no_run_directory(cli, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "one.pdf").write_bytes(b"x")
    status, _, err = cli("launch", "mini", "--run-dir", "papers")
    assert status == 2
    assert "papers exists and is not a run directory" in err
    assert [entry.name for entry in (tmp_path / "papers").iterdir()] == ["one.pdf"]


def test_a_taken_run_directory_says_how_to_continue(cli, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "study.yaml").write_text("name: x", encoding="utf-8")
    status, _, err = cli("launch", "mini", "--run-dir", "taken")
    assert status == 2
    assert "taskorder resume taken" in err


def test_a_run_of_another_version_is_not_continued(cli, tmp_path):
    assert cli("check", "mini")[0] == 0
    run_dir = tmp_path / "old"
    run_dir.mkdir()
    text = (
        "name: old\nmodel: {name: mini}\nintermediate: {tasks: [mini_qa], max_length: 1}\n"
        "targets: [mini_pos]\nresolved: {format: 0}\n"
    )
    (run_dir / "study.yaml").write_text(text, encoding="utf-8")
    status, _, err = cli("resume", "old")
    assert status == 2
    assert "has format 0" in err


def test_check_prices_a_study_and_writes_nothing(cli, tmp_path):
    status, out, err = cli("check", "mini")
    assert (status, err) == (0, "")
    assert "mini: valid" in out
    assert "86: ordered subsets of up to 3 of 5 tasks" in out
    assert "85 to train them all with shared prefixes" in out
    assert list(tmp_path.iterdir()) == []


def test_tasks_lists_and_shows(cli):
    status, out, _ = cli("tasks")
    assert status == 0
    assert {"mnli", "mini_pos"} <= set(out.split())
    status, out, _ = cli("tasks", "mnli")
    assert status == 0
    assert out.startswith("mnli\nEntailment between two English sentences")
    assert json.loads(cli("tasks", "mnli", "--json")[1])["name"] == "mnli"
    assert "mnli" in {task["name"] for task in json.loads(cli("tasks", "--json")[1])}
    status, _, err = cli("tasks", "mnlli")
    assert status == 2
    assert "Did you mean 'mnli'" in err


def test_tasks_counts_what_a_data_root_holds(cli, tmp_path, monkeypatch):
    (tmp_path / "squad").mkdir()
    (tmp_path / "squad/train-v1.1.json").write_text('{"data": []}')
    (tmp_path / "snli_1.0").mkdir()
    row = {"gold_label": "neutral", "sentence1": "a", "sentence2": "b", "pairID": "0"}
    (tmp_path / "snli_1.0/snli_1.0_train.jsonl").write_text(json.dumps(row))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = ("--role", "intermediate", "--group", "papers", "--data-root", ".")
    status, out, _ = cli("tasks", *arguments)
    assert status == 0
    lines = [line.split()[:6] for line in out.splitlines()]
    assert ["snli", "classification", "accuracy", "en", "1", "files"] in lines
    assert ["mnli", "classification", "accuracy", "en", "-", "-"] in lines
    (squad,) = [line for line in lines if line[:1] == ["squad1"]]
    assert squad[4:] == ["-", "malformed"]
    found = {
        task["name"]: task["found"] for task in json.loads(cli("tasks", *arguments, "--json")[1])
    }
    expected = {"where": "files", "num_examples": 1, "error": "", "num_languages": 1}
    assert found["snli"] == expected
    assert "there is no record" in found["squad1"]["error"]
    monkeypatch.setenv("TASKORDER_DATA_ROOT", str(tmp_path))
    assert "en  English" in cli("tasks", "snli")[1]
    page = json.loads(cli("tasks", "snli", "--json")[1])
    assert page["found"]["train"]["en"]["num_examples"] == 1
    status, _, err = cli("tasks", "--data-root", "nowhere")
    assert status == 2
    assert "--data-root: 'nowhere' is not a folder" in err


def test_tasks_shows_ones_own(cli, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/things.yaml").write_text(
        "{name: things, version: 1, format: masked_lm, roles: [intermediate], description: Text,"
        " metric: accuracy, languages: [en], group: ours, generator: mini}"
    )
    status, out, _ = cli("tasks", "--task-folder", "mine", "--group", "ours")
    assert status == 0
    assert out.splitlines()[0] == "Intermediate tasks of ours"
    assert cli("tasks", "things")[0] == 2
    assert cli("tasks", "things", "--task-folder", "mine")[0] == 0


def test_studies_lists_the_ready_made_ones(cli):
    status, out, _ = cli("studies")
    assert status == 0
    assert {"mini", "real-small", "task-order"} <= set(out.split())
    listed = set(json.loads(cli("studies", "--json")[1]))
    assert listed >= {"mini", "real-small", "task-order"}
    # A name is to be typed, so it is whole in the narrowest terminal too.
    assert listed <= set(out.split())


def test_studies_lists_every_model(cli):
    row = cli("studies")[1].partition("\nmodel-size ")[2].partition("\nmodel-size-small")[0]
    # A narrow terminal breaks the cell.
    assert {"base,", "large,", "xl,", "xxl"} <= set(row.split())


def test_studies_lists_every_key_of_a_study_file(cli):
    status, out, _ = cli("studies", "--keys")
    assert status == 0
    assert "| `training.batch_size` | whole number, at least 1 | `32` | examples |" in out
    names = [key["name"] for key in json.loads(cli("studies", "--keys", "--json")[1])]
    assert out.count("\n| `") == len(names)
    assert "storage.max_size_gb" in names


def test_check_hints_at_a_gpu_that_is_not_used(cli, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    hint = "this machine has a GPU, and the study trains on CPUs"
    words = "--set resources.gpus_per_worker=1"
    status, out, _ = cli("check", "mini")
    assert status == 0
    assert hint in " ".join(out.split())
    assert words in " ".join(out.split())
    assert hint not in " ".join(cli("check", "mini", *words.split())[1].split())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "hint" not in cli("check", "mini")[1]


def test_the_version_is_told(cli):
    assert cli("--version") == (0, f"taskorder {version('taskorder')}\n", "")


CONFLICTS = {
    "--every without --watch": ("status", "runs/none", "--every", "2"),
    "a task and a role": ("tasks", "mnli", "--role", "target"),
    "pictures without a folder": ("report", "runs/none", "--pictures", "pdf"),
    "a page of a run elsewhere": ("report", "s3://bucket/run"),
    "an address that is none": ("resume", "runs/none", "--address", "head"),
    "a file on the way": ("launch", "mini", "--run-dir", "file/run"),
    "a file in the place of a folder": ("simulate", "mini", "--table", "t", "--run-dir", "file"),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_options_that_cannot_be_are_refused_before_anything_is_done(cli, tmp_path, case):
    (tmp_path / "file").write_text("")
    status, out, err = cli(*CONFLICTS[case])
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_unknown_command_or_option_ends_with_2(cli):
    assert cli("lanch", "mini")[0] == 2
    assert cli("check", "mini", "--nope")[0] == 2


def test_help_loads_none_of_the_heavy_packages():
    script = (
        "import sys, search.cli\n"
        "heavy = {'torch', 'ray', 'transformers', 'optuna', 'pandas', 'sklearn', 'deepspeed'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["check", "mini"], ["tasks", "--data-root", "."]])
def test_check_and_tasks_load_neither_torch_nor_ray(tmp_path, command):
    script = (
        "import sys\nfrom search.cli import app\n"
        f"app({command}, standalone_mode=False)\n"
        "heavy = {'torch', 'ray', 'transformers', 'sklearn', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment)


def test_output_into_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m search.cli tasks --json | head -c 1; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True, text=True, cwd=tmp_path, env=environment, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_check_prices_a_study_for_gpus_in_hours_and_gigabytes(cli):
    overrides = ("--set", "resources.gpus_per_worker=1", "--set", "search.num_trials=5")
    status, out, err = cli("check", "mini", *overrides)
    assert (status, err) == (0, "")
    said = " ".join(out.split())
    assert "hours of one NVIDIA A100" in said
    assert "GB of checkpoints" in said
