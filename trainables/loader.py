"""Prepares what comes next while the device works on what is now.

A thread suffices: reading a memory map and copying to a device give up the interpreter's lock, and
nothing has to be sent between processes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """Ends a queue.

    Attributes:
        error: What stopped the preparation, if anything did.
    """

    error: BaseException | None = None


@contextlib.contextmanager
def ahead(items: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """Iterate over items that a thread makes, at most so many of them in advance.

    The items and their order are those of the iterable, and so is an error, raised where the item
    would have come. The thread has ended when the context is left, however it is left.

    Args:
        items: Makes the items; must not use what the other thread uses, random states above all.
        depth: Most items that wait; 0 makes each when it is asked for, without a thread.

    >>> with ahead(range(3), 2) as ready:
    ...     list(ready)
    [0, 1, 2]
    """
    if depth == 0:
        yield iter(items)
        return
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | _End) -> bool:
        """Put an item when there is room; say whether anybody still wants it."""
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.1)
                return True
        return False

    def prepare() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # noqa: BLE001  (raised in the thread that reads)
            put(_End(error))
        else:
            put(_End())

    thread = threading.Thread(target=prepare, name="taskorder-loader", daemon=True)
    thread.start()
    try:
        yield _taken(waiting)
    finally:
        stop.set()
        thread.join()


def _taken(waiting: queue.Queue[T | _End]) -> Iterator[T]:
    while True:
        item = waiting.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item
