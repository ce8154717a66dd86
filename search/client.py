"""A cluster that is joined through Ray's client: the same command is run on its head.

Ray Tune, the ledger and the tables are one process, the run's driver, and Ray's client would part
them: it runs Ray Tune on the head, apart from what the driver knows. So all of the driver runs
there, as it does in a Ray job, and what it prints is printed here. It ends when this process does;
what an interrupt says here is said there.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from search.cluster import folder_of
from search.interrupts import unblock_interrupts
from spaces.errors import InputError, TaskorderError

SCHEME = "ray://"
#: Packages that a driver imports.
DRIVERS = ("spaces", "trainables", "search", "analysis")
#: Stands for the file of the study, which is sent along, in the arguments.
STUDY = "{study}"
#: Seconds that are waited for a line.
WAIT_S = 1.0
#: The server starts a process for each client, which now and then ends at once (a port that another
#: has taken meanwhile): then it is asked again, so often in all.
MAX_TRIES, _NOT_STARTED = 3, "Initialization failure from server"
#: What Ray tells a worker of itself is not true of a process that it starts; how the cluster
#: is reached is.
_RAYS, _KEPT = "RAY_", ("RAY_AUTH_", "RAY_TLS_", "RAY_USE_TLS")


def is_client(address: str | None) -> bool:
    """Whether an address is one of Ray's client."""
    return address is not None and address.startswith(SCHEME)


def run_on_head(
    address: str, arguments: Sequence[str], study: Path | None, write: Callable[[str], Any]
) -> int:
    """Run a command of taskorder on the head of a cluster, until it ends or is interrupted.

    Args:
        address: ``ray://HOST:PORT`` of Ray's client server.
        arguments: Of the command, without ``--address``; paths as the head sees them.
        study: A study file of this machine, sent along in place of the argument ``STUDY``.
        write: Takes what the command prints, line by line.

    Returns:
        Its exit status.

    Raises:
        InputError: Nobody answers at the address, or it runs another Python or Ray.
        TaskorderError: The connection is lost.
    """
    import ray  # noqa: PLC0415  (seconds)
    from ray.util.queue import Empty, Queue  # noqa: PLC0415

    _connect(address)
    try:
        on_head = ray.remote(num_cpus=0, resources={"node:__internal_head__": 0.001})(_Command)
        command = on_head.options(max_concurrency=2).remote()
        lines = Queue(actor_options={"num_cpus": 0})
        text = None if study is None else study.read_text(encoding="utf-8")
        status = command.run.remote(list(arguments), text, lines)
        has_ended = False
        with _Interrupts() as interrupts:
            while True:
                if interrupts.take():
                    ray.get(command.interrupt.remote())
                try:
                    write(lines.get(timeout=WAIT_S))
                except Empty:
                    if has_ended:
                        return int(ray.get(status))
                    # What it printed last may have come since.
                    has_ended = bool(ray.wait([status], timeout=0)[0])
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise TaskorderError(
            f"the connection to {address} is lost: {error} If the run does not go on there, "
            "continue it with `taskorder resume`."
        ) from error
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    """Connect to Ray's client server.

    Raises:
        InputError: Nobody answers there, or it runs another Python or Ray.
    """
    import ray  # noqa: PLC0415  (seconds)

    for left in reversed(range(MAX_TRIES)):
        try:
            ray.init(
                address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [folder_of(package) for package in DRIVERS]},
            )
        except (ConnectionError, RuntimeError) as error:
            if left and _NOT_STARTED in str(error):
                continue
            raise InputError(
                f"--address {address}: {error} Give ray://HOST:PORT of a Ray client server (port "
                "10001 unless `ray start --ray-client-server-port` says otherwise), and use the "
                "cluster's versions of Python and Ray."
            ) from error
        return


class _Interrupts:
    """Notes interrupts while it is entered: one that came amid a call of Ray's client would end it.

    One that comes while another has still to be taken is raised: whoever is not heard can leave.
    """

    def __init__(self) -> None:
        self._is_noted = False

    def __enter__(self) -> _Interrupts:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def take(self) -> bool:
        """Whether there was one since this was last called."""
        was_noted, self._is_noted = self._is_noted, False
        return was_noted

    def _note(self, *_: object) -> None:
        if self._is_noted:
            raise KeyboardInterrupt
        self._is_noted = True


class _Command:
    """A process on the head; an actor."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, arguments: list[str], study: str | None, lines: Any) -> int:
        """Run a command, and put what it prints into a queue."""
        import ray  # noqa: PLC0415

        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_RAYS) or name.startswith(_KEPT)
        }
        with ExitStack() as ends:
            if study is not None:
                folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
                file = folder / "study.yaml"
                file.write_text(study, encoding="utf-8")
                arguments = [str(file) if word == STUDY else word for word in arguments]
            address = ray.get_runtime_context().gcs_address
            command = [sys.executable, "-m", "search.client", *arguments, "--address", address]
            process = self._process = subprocess.Popen(
                # Ray kills the children of an actor that ends, and what is in its group; the run
                # is to end by itself, so it is a shell's child in a group of its own.
                ["sh", "-c", 'trap : INT; "$@"; exit $?', "sh", *command],
                env=kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            assert process.stdout is not None, "it is a pipe"
            for line in process.stdout:
                lines.put(line)
            return process.wait()

    def interrupt(self) -> None:
        """Interrupt the command, as a terminal would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGINT)


def _end_with_the_parent() -> None:
    """Interrupt this process when the one that started it is gone: its end of a pipe closes."""

    def watch() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    from search.cli import main

    unblock_interrupts()
    _end_with_the_parent()
    main()
