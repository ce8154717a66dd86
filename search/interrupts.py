"""Signals that ask a run to stop, whoever sends them."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


def unblock_interrupts() -> None:
    """Let interrupts through: Ray's processes block them, and what they start inherits that."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def heeding_termination() -> Iterator[None]:
    """Take a SIGTERM as an interrupt, so that the run ends in order; enter it once Ray runs.

    ``ray job stop`` and cluster managers send it, and Ray would end the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python gives signals to that one alone.
        return
    unblock_interrupts()
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
