"""A store's size, found out beside a run's own work: to list every file may take minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

#: Seconds between two weighings at the least, and a pause of this many times what one took.
PERIOD_S, PAUSE = 10.0, 20.0
Aside = Callable[[Callable[[], int]], "Future[int]"]


def in_thread(work: Callable[[], int]) -> Future[int]:
    """Do a piece of work in a thread, which ends with the process, done or not."""
    future: Future[int] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001  (raised where the result is asked for)
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="weighing").start()
    return future


class Scale:
    """Weighs a store now and then, and waits for nothing meanwhile.

    Args:
        weigh: Returns what the store takes, bytes. While it is under way nobody else may use what
            it uses: so ``exceeds`` says no.
        clock: A monotonic clock.
        aside: Does a piece of work beside the caller's.
    """

    def __init__(
        self,
        weigh: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        aside: Aside = in_thread,
    ) -> None:
        self._weigh = weigh
        self._clock = clock
        self._aside = aside
        self._started = self._due_at = clock()
        self._weighing: Future[int] | None = None
        self._size: int | None = None

    def exceeds(self, max_bytes: int) -> bool:
        """Whether the store is known to take more; so until ``forget``, if it does.

        Raises:
            StoreError: The storage fails.
        """
        if self._weighing is None and self._size is None and self._clock() >= self._due_at:
            self._started = self._clock()
            self._weighing = self._aside(self._weigh)
        if self._weighing is not None and self._weighing.done():
            self.wait()
        if self._size is not None and self._size <= max_bytes:
            self._size = None
        return self._size is not None

    def forget(self) -> None:
        """Weigh again before it is said again that the store takes too much."""
        self._size = None

    def wait(self) -> None:
        """Wait for a weighing that is under way.

        Raises:
            StoreError: The storage fails.
        """
        if self._weighing is None:
            return
        weighing, self._weighing = self._weighing, None
        self._size = weighing.result()
        ended = self._clock()
        self._due_at = ended + max(PERIOD_S, PAUSE * (ended - self._started))
