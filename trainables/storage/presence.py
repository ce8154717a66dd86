"""A run's presence in a store: a heartbeat, and the entries it protects from eviction.

    runs/<session>/alive.json   who, and a number that rises while its driver lives
                  /pins.json    what it protects
    dead/<session>.json         it has ended, or somebody who knows has said so

Nobody is taken for dead because time has passed: see ``Liveness``. Who knows of a death writes it
down, so that the others know it too.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime

from spaces.errors import StoreError
from trainables.storage.entries import (
    KINDS,
    DamagedError,
    EntryKey,
    Kind,
    check_key,
    number,
    read_object,
)
from trainables.storage.files import Files
from trainables.storage.owners import Ask, Owner, Verdict, has_restarted, process_verdict

RUNS, DEAD = "runs", "dead"
ALIVE, PINS = "alive.json", "pins.json"
#: Seconds between heartbeats, and how long one that is not heard is waited for at the least.
BEAT_S = 30.0
PATIENCE_S = 900.0


class Liveness:
    """Says whether an owner is alive: ``True``, known to be dead: ``False``, or ``None``.

    Dead is known in these ways only; a heartbeat that has stopped is not one of them, for a
    machine may be suspended and a network cut:

    1. It is written down: it said itself that it ended, another knew, or a person declared it dead
       (``declare_dead``).
    2. It is an earlier session of our own run: a run directory admits one driver at a time.
    3. Its process is gone, seen from within the same kernel and process namespace.
    4. The cluster says so (``ask``): Ray's node table, the state of a SLURM job.
    5. Its machine has started anew since, and its heartbeat has stopped for ``patience_s``.

    A heartbeat that moved within ``patience_s`` means alive. Otherwise the answer is ``None``:
    whoever wants what it holds waits, and tells the user whom it waits for.

    Args:
        files: The store's files.
        me: This process.
        ask: What the cluster knows of an owner.
        patience_s: See above.
        clock: This process's monotonic clock; the owner's clock is never looked at.
    """

    def __init__(
        self,
        files: Files,
        me: Owner,
        ask: Ask | None = None,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._me = me
        self._ask = ask
        self._patience_s = patience_s
        self._clock = clock
        self._heard: dict[str, tuple[float, float]] = {}
        self._moved: set[str] = set()

    def __call__(self, owner: Owner) -> Verdict:
        """Return the verdict on an owner."""
        if owner.session == self._me.session:
            return True
        if owner.run and owner.run == self._me.run:
            return False
        seen = process_verdict(owner)
        if seen is not None:
            return seen
        told = self._ask(owner) if self._ask is not None else None
        if told is not None:
            return told
        return self._by_heartbeat(owner)

    def _by_heartbeat(self, owner: Owner) -> Verdict:
        alive, dead = f"{RUNS}/{owner.session}/{ALIVE}", _dead_name(owner)
        found = self._files.read_many([dead, alive])
        if dead in found:
            return False
        try:
            content = read_object(found.get(alive, b""))
        except DamagedError:
            return None
        now, beat = self._clock(), number(content.get("beat"))
        before = self._heard.get(owner.session)
        if before is None or before[0] != beat:
            if before is not None:
                self._moved.add(owner.session)
            self._heard[owner.session] = (beat, now)
            return True if before is not None else None
        if now - before[1] < self._patience_s:
            return True if owner.session in self._moved else None
        return False if has_restarted(owner) else None


class Presence:
    """This run's presence. A context manager: leaving it ends the session.

    Args:
        files: The store's files.
        me: This process; its ``run`` names the run.
    """

    def __init__(self, files: Files, me: Owner) -> None:
        self._files = files
        self.me = me
        self._folder = f"{RUNS}/{me.session}"
        self._beat = 0
        self._pinned: frozenset[EntryKey] = frozenset()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Presence:
        """Begin the session: the heartbeat beats as long as this process lives."""
        self.beat()
        self._thread = threading.Thread(target=self._keep_beating, daemon=True, name="heartbeat")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the session; what it protected is protected no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        _bury(self._files, self.me, "it has ended")

    def beat(self) -> None:
        """Let the others see that this session lives."""
        self._beat += 1
        content = {
            "owner": self.me.to_json(),
            "beat": self._beat,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        payload = json.dumps(content, indent=1).encode()
        self._files.write(f"{self._folder}/{ALIVE}", payload, durable=False)

    def pin(self, keys: Collection[EntryKey]) -> None:
        """Protect entries from every run's eviction, before they are looked for.

        What is protected already costs nothing. What is not needed any more is let go of when
        something is added, or when it has become the larger part.
        """
        wanted = frozenset(keys)
        if wanted <= self._pinned and len(self._pinned) <= 2 * len(wanted) + 16:
            return
        self.pin_exactly(wanted)

    def pin_exactly(self, keys: Collection[EntryKey]) -> None:
        """Protect these entries and no others."""
        wanted = frozenset(keys)
        if wanted == self._pinned:
            return
        content = {kind: sorted(key for of, key in wanted if of == kind) for kind in KINDS}
        payload = json.dumps(content).encode()
        self._files.write(f"{self._folder}/{PINS}", payload, durable=False)
        self._pinned = wanted

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT_S):
            # A storage that is gone for a while is everybody's; the next beat tells.
            with contextlib.suppress(StoreError, OSError):
                self.beat()


def pinned_by_others(files: Files, me: Owner, is_alive: Ask) -> dict[EntryKey, Owner]:
    """Return what runs that are not known to be dead protect, and one of them for each.

    Needs a listing that shows what was written before, as those of S3, GCS, Azure and filesystems.

    Args:
        files: The store's files.
        me: This process; what it protects itself is left out.
        is_alive: Verdict on the others.
    """
    found: dict[EntryKey, Owner] = {}
    for owner in list(_sessions(files)):
        if owner.session == me.session or is_alive(owner) is False:
            continue
        for key in _read_pins(files, owner):
            found.setdefault(key, owner)
    return found


def forget_dead(files: Files, me: Owner, is_alive: Ask) -> None:
    """Remove what sessions that are known to be dead left behind.

    Args:
        files: The store's files.
        me: This process.
        is_alive: Verdict on the others.
    """
    for owner in list(_sessions(files)):
        if owner.session != me.session and is_alive(owner) is False:
            _bury(files, owner, f"known to {me}")


def declare_dead(files: Files, run: str) -> list[Owner]:
    """Declare a run dead; for somebody who knows that none of its processes goes on.

    What it holds can be taken over, what it protects can be evicted. A run that is resumed later
    has a new session, which is not concerned.

    Returns:
        The sessions that were declared dead.
    """
    declared = [owner for owner in _sessions(files) if owner.run == run]
    for owner in declared:
        _bury(files, owner, "declared dead")
    return declared


def _bury(files: Files, owner: Owner, how: str) -> None:
    """Write down that a session has ended, then remove what it left."""
    content = {"owner": owner.to_json(), "how": how}
    files.write(_dead_name(owner), json.dumps(content, indent=1).encode())
    folder = f"{RUNS}/{owner.session}"
    for name in files.names(folder):
        files.remove(f"{folder}/{name}")
    files.prune(folder)


def _dead_name(owner: Owner) -> str:
    return f"{DEAD}/{owner.session}.json"


def _sessions(files: Files) -> Iterator[Owner]:
    """Return every session that has begun and is not written down as ended."""
    names = [f"{RUNS}/{name}/{ALIVE}" for name in files.names(RUNS)]
    for name, payload in files.read_many(names).items():
        try:
            owner = Owner.from_json(read_object(payload).get("owner"))
        except DamagedError:
            continue
        if owner is not None and name == f"{RUNS}/{owner.session}/{ALIVE}":
            yield owner


def _read_pins(files: Files, owner: Owner) -> list[EntryKey]:
    """Return what a session protects.

    Raises:
        StoreError: The file cannot be read: nothing is evicted on a guess.
    """
    name = f"{RUNS}/{owner.session}/{PINS}"
    payload = files.read_many([name]).get(name)
    if payload is None:
        return []
    try:
        content = read_object(payload)
        kinds: dict[Kind, list[str]] = {kind: content[kind] for kind in KINDS}
        return [(kind, check_key(key)) for kind, keys in kinds.items() for key in keys]
    except (DamagedError, KeyError, TypeError, StoreError) as error:
        raise StoreError(
            f"{files.where(name)} is damaged ({error}), so it is not known what {owner} protects. "
            "Remove the file if that run has ended."
        ) from None
