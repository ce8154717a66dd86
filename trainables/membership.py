"""A run as a member of a store: which stages it has claimed, what it protects, what it evicts.

The run's driver is the owner of its leases, not the process that trains: a trial's processes die
with their driver, and within a run the search lets one trial at a time train a stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from trainables.storage.entries import EntryKey, Evicted
from trainables.storage.leases import Busy, Lease
from trainables.storage.presence import Presence
from trainables.store import StageStore

#: The store is measured at most this often, and after a pause of this many times what it took.
MEASURE_PERIOD_S, MEASURE_PAUSE = 10.0, 20.0
#: Seconds before a stage that another run is training is asked for again.
RECHECK_S = 5.0


@dataclass(frozen=True, slots=True)
class Claim:
    """An answer to the wish to train a stage.

    Attributes:
        state: ``held``: train it; ``stored``: it is in the store; ``busy``: another run trains it.
        busy: Who, if it is busy.
    """

    state: Literal["held", "stored", "busy"]
    busy: Busy | None = None


class Membership:
    """See above. A context manager: leaving it gives everything back.

    Args:
        store: The store; it names the run.
        clock: A monotonic clock.
    """

    def __init__(self, store: StageStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._presence = Presence(store.files, store.me)
        self._held: dict[str, Lease] = {}
        self._busy: dict[str, tuple[float, Busy]] = {}
        self._due_at = clock()

    def __enter__(self) -> Membership:
        """Begin to beat."""
        self._presence.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Give back every lease, protect nothing any more, and say that this run has ended."""
        try:
            for key in list(self._held):
                self.release(key)
        finally:
            self._presence.__exit__(*error)

    def claim(self, key: str) -> Claim:
        """Ask for the right to train a stage. Does not wait; look, lease, look again.

        A stage that was busy is asked for again after ``RECHECK_S`` at the earliest, so this can
        be called at every turn.
        """
        if key in self._held:
            return Claim("held")
        known = self._busy.get(key)
        if known is not None and self._clock() < known[0]:
            return Claim("busy", known[1])
        self._busy.pop(key, None)
        if self._store.get("stages", key) is not None:
            return Claim("stored")
        lease = self._store.leases.acquire("stages", key)
        if isinstance(lease, Busy):
            self._busy[key] = self._clock() + RECHECK_S, lease
            return Claim("busy", lease)
        if self._store.get("stages", key) is not None:
            self._store.leases.release(lease)
            return Claim("stored")
        self._held[key] = lease
        return Claim("held")

    def may_ask(self, key: str) -> bool:
        """Whether a stage that was busy would be asked for again by now."""
        known = self._busy.get(key)
        return known is None or self._clock() >= known[0]

    def release(self, key: str) -> bool:
        """Give a stage back; return whether it was held."""
        lease = self._held.pop(key, None)
        if lease is not None:
            self._store.leases.release(lease)
        return lease is not None

    def busy(self) -> dict[str, Busy]:
        """Return the stages that others were training when last asked, and who."""
        return {key: busy for key, (_, busy) in self._busy.items()}

    def protect(self, keys: Collection[EntryKey]) -> None:
        """Protect entries from eviction by any run; before they are looked for."""
        self._presence.pin(keys)

    def keep_within(
        self, max_bytes: int, keys: Callable[[], Collection[EntryKey]]
    ) -> list[Evicted]:
        """Make room if it is time to look whether there is need; can be called at every turn.

        Args:
            max_bytes: What the store may take.
            keys: Returns what this run needs; asked only if it is time.
        """
        started = self._clock()
        if started < self._due_at:
            return []
        gone = self.evict(max_bytes, keys())
        ended = self._clock()
        self._due_at = ended + max(MEASURE_PERIOD_S, MEASURE_PAUSE * (ended - started))
        return gone

    def evict(self, max_bytes: int, keys: Collection[EntryKey]) -> list[Evicted]:
        """Make room, and protect these entries and no others; see ``StageStore.evict``."""
        self._presence.pin_exactly(keys)
        return self._store.evict(max_bytes, frozenset(keys))
