"""Who holds something in the store, and whether that process can be known to be dead.

A process sees another's end only inside its own kernel and process namespace: there the process's
number together with its start time is exact. Of everything else it knows nothing.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

#: A session is part of file names, and may have been read from a file that anybody wrote.
_SESSION = re.compile(r"[0-9a-f]{32}")
_STRINGS = ("run", "session", "host", "machine", "kernel", "namespace", "started", "since")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that holds something in the store.

    Attributes:
        run: Identity of its run; empty if it belongs to none.
        session: Identity of this start of the process; no two processes share it.
        host: Name of its host, for people.
        machine: Identity of the machine, which outlives a restart of it.
        kernel: Identity of this start of the machine's kernel; empty if unknown.
        namespace: The namespace its number is from (containers have their own).
        pid: Its number.
        started: When it started, by the kernel's own count; empty if unknown.
        since: When it began to own, ISO 8601.
        labels: What a cluster knows it by (``ray_node``, ``ray_job``, ``slurm_job``...).
    """

    run: str
    session: str
    host: str
    machine: str
    kernel: str
    namespace: str
    pid: int
    started: str
    since: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def this_process(cls, run: str = "", labels: Mapping[str, str] | None = None) -> Owner:
        """Return the calling process as an owner, with a new session.

        Args:
            run: Identity of the run it works for.
            labels: What a cluster knows it by.
        """
        return cls(
            run=run,
            session=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=_machine(),
            kernel=_read("/proc/sys/kernel/random/boot_id"),
            namespace=_namespace(),
            pid=os.getpid(),
            started=process_start(os.getpid()) or "",
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            labels=dict(labels or {}),
        )

    @classmethod
    def from_json(cls, content: Any) -> Owner | None:
        """Return the owner that ``to_json`` described; ``None`` if it is none."""
        if not isinstance(content, dict) or not isinstance(content.get("pid"), int):
            return None
        texts = {name: content.get(name) for name in _STRINGS}
        labels = content.get("labels")
        if not all(isinstance(text, str) for text in texts.values()):
            return None
        if not _SESSION.fullmatch(str(texts["session"])):
            return None
        named = {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}
        return cls(pid=content["pid"], labels=named, **texts)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)

    def __str__(self) -> str:
        """Name it for a person."""
        labels = "".join(f", {name} {value}" for name, value in sorted(self.labels.items()))
        run = f"run {self.run[:12]}, " if self.run else ""
        return f"{run}process {self.pid} on {self.host} since {self.since}{labels}"


#: What a cluster manager knows of an owner: alive, dead, or ``None`` for "cannot tell".
Verdict = bool | None
Ask = Callable[[Owner], Verdict]


def process_verdict(owner: Owner) -> Verdict:
    """Say whether an owner's process lives, as far as this process can see.

    Returns:
        Exact within this kernel and process namespace; ``None`` beyond.
    """
    kernel = _read("/proc/sys/kernel/random/boot_id")
    if not kernel or owner.kernel != kernel or owner.namespace != _namespace():
        return None
    if not owner.started:
        return None
    started = process_start(owner.pid)
    if started is None and _exists(owner.pid):
        return None
    return started == owner.started


def has_restarted(owner: Owner) -> bool:
    """Whether this is the owner's machine and its kernel has been started again since.

    Not proof by itself: machines cloned from one image may share an identity.
    """
    kernel = _read("/proc/sys/kernel/random/boot_id")
    same = owner.machine == _machine() and owner.host == socket.gethostname()
    return same and bool(kernel) and bool(owner.kernel) and owner.kernel != kernel


def process_start(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks since boot; ``None`` if it is gone.

    Empty where there is no ``/proc``. A zombie has ended: it holds nothing any more.
    """
    if not Path("/proc/self/stat").exists():
        return ""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything; the fields behind it are counted from 3.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZXx" else fields[19]


def _exists(pid: int) -> bool:
    """Whether there is a process of that number, which ``/proc`` may hide from other users."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process_start(pid) is not None  # a zombie can be signalled, and has ended


@cache
def _machine() -> str:
    return f"{_read('/etc/machine-id')}-{uuid.getnode():x}"


@cache
def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115  (not a path)
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
