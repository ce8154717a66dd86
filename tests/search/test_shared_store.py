"""Real launches: on one store at the same time, on an S3 server, on a store with faults."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import psutil
import pytest

from analysis import load_run
from tests.search.test_end_to_end import STUDY, command, launch, lines_until, run
from trainables.mini import MODEL_DIR
from trainables.store import StageStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built"
    ),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.yaml"
    path.write_text(STUDY.replace("num_trials: 3", "num_trials: 2"), encoding="utf-8")
    return path


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a launch to end well; return what it printed."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def trained(*run_dirs: Path) -> pd.Series:
    """How often each stage was trained, over all runs."""
    return pd.concat([load_run(path).stages for path in run_dirs]).groupby("fingerprint")[
        "times_trained"
    ].sum()  # fmt: skip


def checkpoints(url: str) -> set[str]:
    """Fingerprints of the stages whose checkpoints are in a store."""
    return {entry.key for entry in StageStore(url).entries() if entry.kind == "stages"}


def test_two_launches_at_once_train_every_shared_stage_once(study: Path, tmp_path: Path) -> None:
    run_dirs = [tmp_path / "one", tmp_path / "two"]
    options = [f"storage.stages={tmp_path / 'stages'}", "search.max_concurrent=2"]
    launches = [launch(study, run_dir, *options) for run_dir in run_dirs]
    for process in launches:
        finish(process)
    counts = trained(*run_dirs)
    assert set(counts) == {1}
    assert set(counts.index) == checkpoints(str(tmp_path / "stages"))
    for run_dir in run_dirs:
        assert set(load_run(run_dir).trials["state"]) <= {"complete", "pruned"}
    assert not list((tmp_path / "stages" / "runs").glob("*"))


def test_a_store_on_s3_that_is_kept_small_by_eviction(study: Path, tmp_path: Path, s3: str) -> None:
    url = f"{s3}/launch"
    run_dir = tmp_path / "run"
    limit = 3e6  # four checkpoints of the mini model, less than half of them
    options = [f"storage.stages={url}", f"storage.max_size_gb={limit / 1e9}"]
    finish(launch(study, run_dir, *options))
    stages = load_run(run_dir).stages
    assert stages["evicted"].any()
    assert set(stages.loc[~stages["evicted"], "fingerprint"]) == checkpoints(url)
    assert StageStore(url).size_bytes() <= limit
    assert not (run_dir / "stages").exists()
    assert set(load_run(run_dir).trials["state"]) <= {"complete", "pruned"}


def test_damage_is_told_and_mended_and_a_moved_run_goes_on(study: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    process = launch(study, run_dir)
    lines_until(process, "[3/")
    own = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    # What still trains for it would write where the run was.
    psutil.wait_procs(own, timeout=120)
    moved = tmp_path / "elsewhere" / "run"
    moved.parent.mkdir()
    run_dir.rename(moved)
    damaged = sorted((moved / "stages" / "stages").rglob("data-*.safetensors"))
    assert damaged
    for path in damaged:
        os.truncate(path, path.stat().st_size - 1)
    done = subprocess.run(command("resume", moved), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Damaged and set aside: stages" in done.stdout
    found = load_run(moved)
    assert set(found.trials["state"]) <= {"complete", "pruned"}
    assert found.stages["times_set_aside"].sum() > 0
    assert not run_dir.exists()


def test_a_store_that_cannot_be_written_ends_the_run_and_no_trial(
    study: Path, tmp_path: Path
) -> None:
    url = tmp_path / "stages"
    url.mkdir()
    # A file, where the folder of fine-tunings should be.
    (url / "progress").touch()
    run_dir = tmp_path / "run"
    done = run("launch", study, "--run-dir", run_dir, "--set", f"storage.stages={url}")
    assert done.returncode == 1
    assert "failed: StoreUnreachableError: " in done.stderr
    assert str(url / "progress") in done.stderr
    assert "Traceback" not in done.stderr
    assert not (run_dir / "finished.json").exists()
    assert set(load_run(run_dir).trials["state"]) == {"waiting"}
    (url / "progress").unlink()
    resumed = run("resume", run_dir)
    assert resumed.returncode == 0, resumed.stderr
    assert set(load_run(run_dir).trials["state"]) <= {"complete", "pruned"}


def test_a_budget_that_grows_is_searched_and_a_changed_meaning_is_refused(
    study: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    finish(launch(study, run_dir, "search.num_trials=1", "search.confirm.top=0"))
    file = run_dir / "study.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("seed: 0", "seed: 3"), encoding="utf-8")
    refused = run("resume", run_dir)
    assert refused.returncode == 2
    assert "seed: was 0, is 3" in refused.stderr
    file.write_text(text.replace("num_trials: 1", "num_trials: 3"), encoding="utf-8")
    grown = run("resume", run_dir)
    assert grown.returncode == 0, grown.stderr
    assert (load_run(run_dir).trials["phase"] == "search").sum() == 3
    assert (run_dir / "finished.json").exists()
