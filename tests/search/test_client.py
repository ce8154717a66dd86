"""A launch from outside a cluster, through Ray's client."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import load_run
from search.client import is_client
from tests.search.test_end_to_end import STUDY, run
from trainables.mini import MODEL_DIR


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def client_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Ray's client server on a head of its own, which asks for a token of this test's."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # On a busy machine.
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "180")
    monkeypatch.setenv("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "180")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:
        options = {
            "node-ip-address": "127.0.0.1",
            "port": free_port(),
            "ray-client-server-port": port,
            "num-cpus": 2,
            "object-store-memory": 100 * 2**20,
            "include-dashboard": "false",
            "temp-dir": folder,
        }
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        head = subprocess.Popen(
            [*start, *(f"--{name}={value}" for name, value in options.items())],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert head.stdout is not None
        seen = []
        for line in head.stdout:
            seen.append(line)
            if "--block" in line:
                break
        else:
            raise AssertionError("".join(seen))
        yield f"ray://127.0.0.1:{port}"
        head.terminate()
        head.communicate()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built")
def test_a_launch_through_rays_client_runs_on_the_head(client_address: str, tmp_path: Path) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(STUDY.replace("num_trials: 3", "num_trials: 1"), encoding="utf-8")
    run_dir = tmp_path / "run"
    quick = ("--set", "search.baselines=false", "--set", "search.confirm.top=0")
    done = run("launch", study, "--run-dir", run_dir, *quick, "--address", client_address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/" in done.stdout
    found = load_run(run_dir)
    assert set(found.trials["state"]) <= {"complete", "pruned"}
    assert set(found.stages["times_trained"]) <= {1}
    # What goes wrong there is told here, with its exit status.
    again = run("launch", study, "--run-dir", run_dir, *quick, "--address", client_address)
    assert again.returncode == 2
    assert "error: " in again.stdout
    assert str(run_dir) in again.stdout


def test_an_address_where_nobody_answers_is_wrong_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "1")
    address = f"ray://127.0.0.1:{free_port()}"
    done = run("launch", "mini", "--run-dir", tmp_path / "run", "--address", address)
    assert done.returncode == 2
    assert f"error: --address {address}: " in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "local", None])
def test_other_addresses_are_of_the_cluster_itself(address: str | None) -> None:
    assert not is_client(address)
