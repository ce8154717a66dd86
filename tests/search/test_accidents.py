"""Accidents of a run on one machine: its disk is full, a trial's own process is killed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from analysis import load_run
from tests.search.test_end_to_end import STUDY, launch, lines_until, run
from trainables.mini import MODEL_DIR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built"
    ),
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY.replace("num_trials: 3", "num_trials: 1"), encoding="utf-8")
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"may not mount a disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until not a byte more can be written."""
    for size in (2**20, 2**10, 1):
        with file.open("ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(size))
            except OSError:
                continue


def running(pid: int, command: str) -> list[psutil.Process]:
    """Return the descendants of a process whose command line has a word."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if command in " ".join(process.cmdline()):
                found.append(process)
    return found


def check_whole(run_dir: Path) -> None:
    """Check that a run has ended well, and trained nothing twice."""
    assert (run_dir / "finished.json").exists()
    found = load_run(run_dir)
    assert set(found.trials["state"]) <= {"complete", "pruned"}, found.trials["error"].tolist()
    assert set(found.stages["times_trained"]) == {1}


def test_a_run_on_a_disk_that_is_full_ends_and_is_resumed(study: Path, disk: Path) -> None:
    """Ledger, tables, store and Ray's own files alike are on it."""
    run_dir = disk / "run"
    process = launch(study, run_dir, "search.max_failures=0", "search.confirm.top=0")
    lines_until(process, "[2/")
    ballast = disk / "ballast"
    fill(ballast)
    out, err = process.communicate()
    assert process.returncode == 1, out + err
    assert "failed: " in err
    assert "resume" in err
    assert "Traceback" not in err
    assert not (run_dir / "finished.json").exists()
    ballast.unlink()
    resumed = run("resume", run_dir)
    assert resumed.returncode == 0, resumed.stderr
    check_whole(run_dir)


def test_a_trials_own_process_that_is_killed_costs_a_try_and_not_the_search(
    study: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    process = launch(study, run_dir, "search.confirm.top=0", "search.max_failures=1")
    lines_until(process, "[2/")
    # Other users of the machine reach Ray's servers too, and lack their token.
    [gcs] = running(process.pid, "gcs_server")
    assert gcs.environ()["RAY_AUTH_MODE"] == "token"
    # From one trial to the next there may be none of them, or two, for a moment.
    while not (found := running(process.pid, "ResourceTrainable")):
        assert process.poll() is None
    for trial in found:
        trial.kill()
    _, err = process.communicate()
    assert process.returncode == 0, err
    check_whole(run_dir)
