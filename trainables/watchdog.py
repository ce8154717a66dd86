"""Ends a worker that hangs by itself, and says where it was.

A worker that waits for another one is told by the process group's time-out. One that waits for a
driver, a file system or a lock is told by nobody, and its trial would hold its slot for ever. In a
worker's process each step of training and each batch of an evaluation is a sign of life; without
one for long enough the stacks of all threads are written to the worker's log and the process ends,
so that the trial is tried again on a new one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import time
from collections.abc import Callable, Iterator

#: Seconds between two times that the alarm is set anew: setting it starts a thread.
EVERY_S = 10.0
_timeout_s: float | None = None


def watch_this_process(timeout_s: float) -> None:
    """Let ``watched`` end this process from now on.

    Args:
        timeout_s: Seconds without a sign of life after which it ends, with status 1.
    """
    global _timeout_s  # noqa: PLW0603  (the alarm is the process's, too)
    _timeout_s = timeout_s


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], None]]:
    """Give what is to be called as a sign of life, in a context that hangs without it.

    Nothing is watched in a process that has not called ``watch_this_process``.
    """
    timeout_s = _timeout_s
    if timeout_s is None:
        yield lambda: None
        return
    told = 0.0

    def live() -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= min(EVERY_S, timeout_s / 2):
            told = now
            # By a thread of C's: it needs no lock of the interpreter's.
            faulthandler.dump_traceback_later(timeout_s, exit=True, file=2)

    live()
    try:
        yield live
    finally:
        faulthandler.cancel_dump_traceback_later()
