"""Real Ray and DeepSpeed on the built-in suite, tiny: whole runs, and their accidents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from analysis import load_run
from trainables.mini import MODEL_DIR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built"
    ),
]

STUDY = """
name: tiny
model: {name: mini}
intermediate: {tasks: [mini_entail, mini_supertag], max_length: 2}
targets:
  - {name: mini_pos, languages: [en]}
  - {name: mini_xnli, languages: [en]}
training: {batch_size: 8, max_train_examples: 64, max_eval_examples: 16, max_steps: 4}
search:
  num_trials: 3
  max_concurrent: 1
  asha: {reduction_factor: 2, num_rungs: 2}
  confirm: {top: 1, seeds: 1}
"""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "search.cli", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def launch(study: Path, run_dir: Path, *overrides: str) -> subprocess.Popen[str]:
    options = [part for override in overrides for part in ("--set", override)]
    return subprocess.Popen(
        command("launch", study, "--run-dir", run_dir, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A group of its own, so that an interrupt reaches it as it does from a terminal.
        start_new_session=True,
    )


def lines_until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    """Read a run's plain progress up to the line that begins so."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(beginning):
            return seen
    assert process.stderr is not None
    raise AssertionError(f"{''.join(seen)}\n{process.stderr.read()}")


def training_workers(driver: int) -> Iterator[int]:
    """Yield the processes that train for a driver."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _descends(int(folder.name), driver):
            try:
                command_line = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # It has ended since.
            if b"TrainingWorker" in command_line:
                yield int(folder.name)


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            return False
        pid = int(next(line.split()[1] for line in status.splitlines() if line[:5] == "PPid:"))
    return False


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def uninterrupted(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    done = run("launch", study, "--run-dir", run_dir)
    assert done.returncode == 0, done.stderr
    return run_dir


def facts(run_dir: Path) -> dict[str, pd.DataFrame]:
    """What two runs of one study must agree on: everything but points in time and durations."""
    found = load_run(run_dir)
    trials = found.trials.drop(columns=["wall_s", "started_at", "finished_at"])
    return {
        "trials": trials,
        "scores": found.scores,
        "rungs": found.rungs.drop(columns=["wall_s", "reported_at"]),
        "stages": found.stages.drop(columns=["wall_s"]),
    }


def optuna_states(run_dir: Path) -> dict[str, Any]:
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{run_dir / 'optuna.db'}")
    states: dict[str, int] = {}
    for trial in study.trials:
        states[trial.state.name] = states.get(trial.state.name, 0) + 1
    study._storage.remove_session()
    return states


def test_an_interrupted_run_is_continued_and_ends_as_an_uninterrupted_one(
    study: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "interrupted"
    process = launch(study, run_dir)
    lines_until(process, "[3/")

    second = run("resume", run_dir)
    assert second.returncode == 2
    assert f"process {process.pid} on " in second.stderr
    assert "Traceback" not in second.stderr

    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert f"taskorder resume {run_dir}" in out
    before = load_run(run_dir).trials
    assert {"complete", "waiting"} <= set(before["state"])
    assert not (run_dir / "finished.json").exists()

    resumed = run("resume", run_dir)
    assert resumed.returncode == 0, resumed.stderr
    expected, found = facts(uninterrupted), facts(run_dir)
    for table, frame in expected.items():
        pd.testing.assert_frame_equal(found[table], frame, check_exact=True, obj=table)
    assert set(found["stages"]["times_trained"]) == {1}
    assert optuna_states(run_dir) == optuna_states(uninterrupted)
    assert "RUNNING" not in optuna_states(run_dir)
    # What pruned and complete trials had half done is gone; the stages are there.
    assert not list((run_dir / "stages" / "progress").rglob("*.safetensors"))
    assert list((run_dir / "stages" / "stages").rglob("*.safetensors"))


def test_a_finished_run_is_told_again_and_not_touched(study: Path, uninterrupted: Path) -> None:
    before = facts(uninterrupted)
    done = run("resume", uninterrupted)
    assert done.returncode == 0, done.stderr
    assert "mini_pos" in done.stdout
    for table, frame in facts(uninterrupted).items():
        pd.testing.assert_frame_equal(frame, before[table], check_exact=True)
    told = json.loads(run("status", uninterrupted, "--json").stdout)
    assert told["finished"] is True
    assert told["time_left_s"] == 0

    taken = run("launch", study, "--run-dir", uninterrupted)
    assert taken.returncode == 2
    assert f"taskorder resume {uninterrupted}" in taken.stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("max_failures", [0, 1])
def test_a_killed_worker_costs_a_try_and_not_the_search(
    study: Path, uninterrupted: Path, tmp_path: Path, max_failures: int
) -> None:
    run_dir = tmp_path / "killed"
    process = launch(study, run_dir, f"search.max_failures={max_failures}")
    lines_until(process, "[2/")
    killed = list(training_workers(process.pid))
    assert len(killed) == 1
    os.kill(killed[0], signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == 0, err
    found = load_run(run_dir)
    failed = found.trials[found.trials["state"] == "failed"]
    if max_failures:
        assert failed.empty
        expected = facts(uninterrupted)
        for table, frame in facts(run_dir).items():
            pd.testing.assert_frame_equal(frame, expected[table], check_exact=True, obj=table)
    else:
        assert len(failed) == 1
        assert failed["error"].tolist() == [
            "a worker process of the trial died (killed, out of memory, or its node was lost)"
        ]
    assert set(found.stages["times_trained"]) == {1}
    assert "RUNNING" not in optuna_states(run_dir)
