"""The benchmark of resuming knows a first step when there is one."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

from benchmarks.resume_time import checkpoints, first_step, kill
from trainables.progress import checkpoint_keys
from trainables.store import StageStore


@pytest.fixture
def process():
    made = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield made
    if made.poll() is None:
        kill(made)
    made.stdin.close()


def put(run_dir, key):
    StageStore(str(run_dir / "stages")).put("progress", key, {"x": torch.zeros(1)}, {})


def test_a_new_checkpoint_tells_of_a_step(tmp_path, monkeypatch, process):
    one, two = checkpoint_keys("ab" * 32)
    put(tmp_path, one)
    put(tmp_path, "cd" * 32 + "-10")  # a rung's, not of a training in flight
    assert len(checkpoints(tmp_path)) == 1
    monkeypatch.setattr(time, "sleep", lambda _: put(tmp_path, two))
    started = time.monotonic()
    assert 0 < first_step(process, tmp_path, started) <= time.monotonic() - started


def test_a_driver_that_ends_before_is_told(tmp_path, process):
    kill(process)
    with pytest.raises(RuntimeError, match="exit status is -9"):
        first_step(process, tmp_path, time.monotonic())
