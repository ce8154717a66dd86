"""A Ray cluster of one node, started as a user would, and what its Ray jobs are told by."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

#: One CPU's worth of threads, and longer to start, for a busy machine.
ENVIRONMENT = {
    # The clusters of these tests ask for a token of their own.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "OMP_NUM_THREADS": "1",
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "180",
    # A client that is gone is waited for so many seconds.
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "1",
}


@dataclass(frozen=True)
class Head:
    """Where a head answers.

    Attributes:
        gcs: For a driver on its machine.
        client: For Ray's client.
        jobs: For `ray job submit`.
        pid: The process that started it.
    """

    gcs: str
    client: str
    jobs: str
    pid: int

    def kill(self) -> None:
        """Kill the whole cluster, all that it runs included."""
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, each another."""
    with contextlib.ExitStack() as servers:
        made = [servers.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in made]


def ray(*arguments: str) -> list[str]:
    """Return a command of Ray's own command line."""
    return [sys.executable, "-m", "ray.scripts.scripts", *arguments]


@contextlib.contextmanager
def node(options: dict[str, object], prefix: tuple[str, ...] = ()) -> Iterator[int]:
    """Start a Ray node in a process of its own, and end it; yields the process's id."""
    settings = [f"--{name}={value}" for name, value in options.items()]
    flags = ["--head"] if "address" not in options else []
    process = subprocess.Popen(
        [*prefix, *ray("start", *flags, "--block", "--disable-usage-stats", *settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "--block" in line:
                break
        else:
            raise AssertionError("".join(seen))
        yield process.pid
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def head() -> Iterator[Head]:
    """Start a head on loopback, with two CPUs."""
    gcs, client, jobs, agent, metrics = free_ports(5)
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder,
    ):
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        options: dict[str, object] = {
            "node-ip-address": "127.0.0.1",
            "port": gcs,
            "ray-client-server-port": client,
            "num-cpus": 2,
            "object-store-memory": 100 * 2**20,
            "dashboard-host": "127.0.0.1",
            "dashboard-port": jobs,
            "dashboard-agent-listen-port": agent,
            "metrics-export-port": metrics,
            "temp-dir": folder,
        }
        with node(options) as pid:
            where = "127.0.0.1"
            yield Head(f"{where}:{gcs}", f"ray://{where}:{client}", f"http://{where}:{jobs}", pid)
