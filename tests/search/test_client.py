"""A launch from outside a cluster: through Ray's client, and as a Ray job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from analysis import load_run
from search.client import is_client
from tests.search.heads import Head, free_ports, head, ray
from tests.search.test_end_to_end import STUDY, command, lines_until, run
from trainables.mini import MODEL_DIR


def real(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that launches runs."""
    is_missing = not (MODEL_DIR / "config.json").is_file()
    test = pytest.mark.skipif(is_missing, reason="the mini model is not built")(test)
    return pytest.mark.slow(pytest.mark.timeout(1200)(test))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    with head() as made:
        yield made


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "code" / "tiny.yaml"
    path.parent.mkdir()
    path.write_text(STUDY.replace("num_trials: 3", "num_trials: 1"), encoding="utf-8")
    return path


class Job:
    """A Ray job that runs a command of taskorder.

    Args:
        cluster: Where.
        name: Its submission id.
        arguments: Of the command.
        runtime_env: The job's own.
    """

    def __init__(
        self, cluster: Head, name: str, *arguments: str | Path, **runtime_env: object
    ) -> None:
        self._where = f"--address={cluster.jobs}"
        self._name = name
        environment = f"--runtime-env-json={json.dumps(runtime_env)}"
        options = [self._where, f"--submission-id={name}", environment]
        self.process = subprocess.Popen(
            [*ray("job", "submit", *options, "--"), *command(*arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> None:
        subprocess.run(ray("job", "stop", self._where, self._name), check=True, capture_output=True)


def wait_until_undriven(run_dir: Path) -> None:
    """Wait until the driver of a run has ended."""
    with FileLock(run_dir / "driver.lock", timeout=300):
        pass


@real
def test_a_launch_through_rays_client_runs_on_the_head(
    cluster: Head, study: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    quick = ("--set", "search.baselines=false", "--set", "search.confirm.top=0")
    done = run("launch", study, "--run-dir", run_dir, *quick, "--address", cluster.client)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/" in done.stdout
    found = load_run(run_dir)
    assert set(found.trials["state"]) <= {"complete", "pruned"}
    assert set(found.stages["times_trained"]) <= {1}
    # What goes wrong there is told here, with its exit status.
    again = run("launch", study, "--run-dir", run_dir, *quick, "--address", cluster.client)
    assert again.returncode == 2, again.stderr
    assert "error: " in again.stdout
    assert str(run_dir) in again.stdout


@real
def test_a_run_goes_on_after_each_way_of_being_cut_off(study: Path, tmp_path: Path) -> None:
    """Stopped as a Ray job, interrupted at the client, its client killed, its cluster killed."""
    run_dir = tmp_path / "run"
    # A job with modules and a folder of its own.
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "__init__.py").touch()
    options = {
        "search.confirm.top": 0,
        # Long enough to be cut off on the way.
        "training.max_steps": 150,
        "storage.checkpoint_every_steps": 20,
    }
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    with head() as cluster:
        job = Job(
            cluster, "launched", "launch", study.name, "--run-dir", run_dir, *settings,
            "--address", "auto",
            working_dir=str(study.parent),
            py_modules=[str(extra)],
            env_vars={"RAY_JOB_STOP_WAIT_TIME_S": "120"},
        )  # fmt: skip
        lines_until(job.process, "[")
        job.stop()
        out, err = job.process.communicate()
        assert f"Interrupted. Continue with: taskorder resume {run_dir}" in out, out + err
        wait_until_undriven(run_dir)
        assert "waiting" in states(run_dir)

        client = start("resume", run_dir, "--address", cluster.client)
        lines_until(client, "[")
        client.send_signal(signal.SIGINT)
        out, err = client.communicate()
        assert client.returncode == 130, out + err
        assert f"Interrupted. Continue with: taskorder resume {run_dir}" in out
        assert "waiting" in states(run_dir)

        client = start("resume", run_dir, "--address", cluster.client)
        lines_until(client, "[")
        client.kill()
        client.communicate()
        wait_until_undriven(run_dir)
        assert "waiting" in states(run_dir)

        # It is told after so many seconds that its cluster is gone.
        soon = {"RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
        driver = start("resume", run_dir, "--address", cluster.gcs, **soon)
        lines_until(driver, "[")
        cluster.kill()
        out, err = driver.communicate()
        assert driver.returncode == 1, out + err
    done = run("resume", run_dir)
    assert done.returncode == 0, done.stderr
    assert (run_dir / "finished.json").is_file()
    assert states(run_dir) <= {"complete", "pruned"}
    assert set(load_run(run_dir).stages["times_trained"]) == {1}


def states(run_dir: Path) -> set[str]:
    """States of the trials of a run that nobody drives, of which none may be RUNNING or FAILED."""
    found = set(load_run(run_dir).trials["state"])
    assert found <= {"complete", "pruned", "waiting"}
    return found


def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_an_address_where_nobody_answers_is_wrong_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "1")
    address = f"ray://127.0.0.1:{free_ports(1)[0]}"
    done = run("launch", "mini", "--run-dir", tmp_path / "run", "--address", address)
    assert done.returncode == 2
    assert f"error: --address {address}: " in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "local", None])
def test_other_addresses_are_of_the_cluster_itself(address: str | None) -> None:
    assert not is_client(address)
