"""Every task of the catalogue on real files, and every kind of stage: trained and scored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis import Run, load_run
from spaces.tasks import Task, load_catalogue
from trainables.data import available, available_languages, is_labelled

REAL = os.environ.get("TASKORDER_DATA_ROOT")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
needs_real_data = pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")

#: Licensed or above the size of what is at hand: their readers are tested on files of our own.
NO_FILES = {"ccg", "mewslix"}

TRAINING = {
    "batch_size": 8,
    "max_steps": 2,
    "max_length": 64,
    "max_train_examples": 48,
    "max_eval_examples": 6,
}
SEARCH = {"num_trials": 0, "asha": None, "confirm": {"top": 0}}
SCRATCH = {
    "name": "scratch",
    "hidden_size": 16,
    "num_layers": 1,
    "num_heads": 2,
    "vocab_size": 2000,
    "pretraining": {"steps": 2, "max_sentences_per_language": 200},
}


def launch(folder: Path, **content: Any) -> Run:
    study = {
        "name": "catalogue",
        "model": SCRATCH,
        "training": TRAINING,
        "search": SEARCH,
        **content,
    }
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "search.cli", "launch", str(file)]
    if REAL:
        command += ["--data-root", REAL]
    done = subprocess.run(
        [*command, "--run-dir", str(folder / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    run = load_run(folder / "run")
    assert set(run.trials.state) == {"complete"}
    return run


def official(role: str) -> list[Task]:
    return [t for t in load_catalogue().values() if role in t.roles and t.group != "mini"]


def training_language(task: Task, root: Path) -> str | None:
    """Return a language whose training files are at hand, the task's own if they are."""
    languages = dict.fromkeys((task.train_language, *task.languages))
    return next((code for code in languages if available(task, "train", code, root)), None)


def scored(task: Task, root: Path) -> bool:
    """Whether an evaluation set with labels is at hand."""
    return any(
        is_labelled(task, split, code, data_root=root)
        for split in ("dev", "test")
        for code in available_languages(task, split, root)
    )


@needs_real_data
def test_every_intermediate_task_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = Path(str(REAL))
    tasks = official("intermediate")
    languages = {task.name: training_language(task, root) for task in tasks}
    assert {name for name, code in languages.items() if code is None} <= NO_FILES
    at_hand = [task for task in tasks if languages[task.name]]
    assert len(at_hand) >= 20
    stages = {
        f"{task.name}_{languages[task.name]}": {
            "task": task.name, "languages": [languages[task.name]]
        }
        for task in at_hand
        if languages[task.name] != task.train_language
    }  # fmt: skip
    names = [t.name if languages[t.name] == t.train_language else f"{t.name}_{languages[t.name]}"
             for t in at_hand]  # fmt: skip
    run = launch(
        tmp_path,
        intermediate={"tasks": names, "max_length": 1, "stages": stages},
        targets=[{"name": "udpos", "languages": ["de"]}],
    )
    assert set(run.stages.sequence) == {*names, "+".join(sorted(names))}
    assert set(run.stages.times_trained) == {1}


@needs_real_data
def test_every_target_is_trained_and_scored(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = Path(str(REAL))
    targets = official("target")
    chosen = [
        task
        for task in targets
        if (not task.trains or training_language(task, root) == task.train_language)
        and scored(task, root)
    ]
    assert {task.name for task in targets} - {task.name for task in chosen} <= NO_FILES
    run = launch(
        tmp_path,
        intermediate={"tasks": ["ud_upos"], "max_length": 1},
        targets=[task.name for task in chosen],
    )
    assert set(run.trials.target) == {task.name for task in chosen}
    assert run.scores.value.between(0, 100).all()
    # The chain of XCOPA is trained behind the sequence.
    assert {"siqa", "ud_upos>siqa"} <= set(run.stages.sequence)


def test_every_kind_of_stage_is_trained(tmp_path):
    stages = {
        "mix": {"tasks": ["mini_qa", "mini_entail"], "sampling": {"temperature": 2, "cap": 30}},
        "even": {"tasks": ["mini_qa", "mini_entail"], "sampling": "uniform"},
        "with_text": {
            "tasks": ["mini_entail"],
            "mlm": {"tasks": [{"task": "mini_mlm", "languages": ["sib", "agg"]}], "share": 0.25},
        },
        "little": {"task": "mini_entail", "max_examples": 16, "training": {"max_steps": 3}},
    }
    run = launch(
        tmp_path,
        model={"name": "mini"},
        intermediate={"tasks": ["mini_mlm", *stages], "max_length": 1, "stages": stages},
        targets=[{"name": "mini_pos", "languages": ["sib"]}],
        training={**TRAINING, "max_steps": 6},
    )
    steps = dict(zip(run.stages.sequence, run.stages.steps, strict=True))
    everything = "+".join(sorted(["mini_mlm", *stages]))
    assert steps == {
        "mini_mlm": 6, "mix": 12, "even": 12, "with_text": 8, "little": 3, everything: 18,
    }  # fmt: skip
