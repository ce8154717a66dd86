"""Making room in a store that several runs use, and sweeping up after those that were killed.

Eviction of an entry, each step durable before the next:

1. its tombstone is written, 2. its metadata removed: nobody finds it any more, 3. once for all
that are to go, what other runs protect is read again; what is protected by now gets its metadata
back, 4. the data is removed.

A run protects an entry *before* it looks for it. So either it protects it before step 3, and the
entry stays, or it looks after step 2, and trains. Killed in between, the tombstone says what to
finish; one process at a time does this, under a lease.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from datetime import UTC, datetime

from trainables.storage.entries import (
    USED,
    DamagedError,
    Entry,
    EntryKey,
    Evicted,
    encode_tombstone,
    folder_name,
    meta_name,
    read_object,
    tombstone_name,
)
from trainables.storage.eviction import Choice, choose
from trainables.storage.files import Files
from trainables.storage.inventory import CLOCK, Inventory, Stocktaker, read_clock
from trainables.storage.leases import Lease, Leases
from trainables.storage.presence import forget_dead, pinned_by_others

#: A file that belongs to no entry is swept when it is older than this, by the storage's own clock.
#: No upload takes as long, and no lease tells: writing needs none.
ORPHAN_AGE_S = 24 * 3600.0


def evict(
    files: Files,
    stocktaker: Stocktaker,
    leases: Leases,
    max_bytes: int,
    protected: Set[EntryKey],
) -> list[Evicted]:
    """Make room until a store takes ``max_bytes`` at most, or nothing more may go.

    First goes what is nobody's (left by killed writers, a day old), then data that was set aside,
    then entries, as ``eviction.choose`` says; never what another run protects that is not known to
    be dead.

    Args:
        files: The store's files.
        stocktaker: Of this store.
        leases: This process's; they let one process at a time evict.
        max_bytes: What the store may take.
        protected: What this run needs.

    Returns:
        What was evicted; nothing if another process is at it.
    """
    if stocktaker.size_bytes() <= max_bytes:
        return []
    lease = leases.acquire_named("store/evict")
    if not isinstance(lease, Lease):
        return []
    try:
        forget_dead(files, leases.me, leases.is_alive)
        stock = stocktaker.take()
        excess = stock.size_bytes - max_bytes
        excess -= _finish(files, stock)
        excess -= _sweep(files, stock, lease)
        excess -= _empty_quarantine(files, stock, excess)
        others = pinned_by_others(files, leases.me, leases.is_alive)
        chosen, clock = choose(stock.entries, stock.tombstones, protected | others.keys(), excess)
        if not chosen:
            return []
        files.write(CLOCK, json.dumps({"clock": max(clock, read_clock(files))}).encode())
        return _evict(files, chosen, leases)
    finally:
        leases.release(lease)


def _evict(files: Files, chosen: Sequence[Choice], leases: Leases) -> list[Evicted]:
    """Evict what was chosen, but for what others protect by now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    going: dict[EntryKey, tuple[Evicted, bytes]] = {}
    for choice in chosen:
        entry = choice.entry
        name = meta_name(entry.kind, entry.key)
        meta = files.read_many([name]).get(name)
        if meta is None or not _is_of(meta, entry):
            continue  # set aside, dropped or written anew since the listing
        evicted = Evicted(
            kind=entry.kind,
            key=entry.key,
            size_bytes=entry.size_bytes,
            rebuild_s=choice.rebuild_s,
            score=choice.score,
            metadata=entry.metadata,
            data=entry.data,
            evicted_at=at,
            run=leases.me.run,
        )
        files.write(tombstone_name(entry.kind, entry.key), encode_tombstone(evicted))
        files.remove(name)
        going[entry.kind, entry.key] = evicted, meta
    for key in pinned_by_others(files, leases.me, leases.is_alive).keys() & going.keys():
        files.create(meta_name(*key), going.pop(key)[1])
        files.remove(tombstone_name(*key))
    for evicted, _ in going.values():
        folder = folder_name(evicted.kind, evicted.key)
        for name in (evicted.data, USED):
            files.remove(f"{folder}/{name}")
        files.prune(folder)
    return [evicted for evicted, _ in going.values()]


def _finish(files: Files, stock: Inventory) -> int:
    """Finish what a killed eviction began; return the bytes that this frees."""
    there = {(candidate.entry.kind, candidate.entry.key) for candidate in stock.entries}
    freed = 0
    for evicted in stock.tombstones:
        if (evicted.kind, evicted.key) in there:
            files.remove(tombstone_name(evicted.kind, evicted.key))  # it is back, or never went
            continue
        data = f"{folder_name(evicted.kind, evicted.key)}/{evicted.data}"
        for found in [orphan for orphan in stock.orphans if orphan.name == data]:
            files.remove(data)
            stock.orphans.remove(found)
            freed += found.size_bytes
    return freed


def _sweep(files: Files, stock: Inventory, lease: Lease) -> int:
    """Remove old files that belong to no entry; return the bytes that this frees."""
    folder = lease.name.rpartition("/")[0]
    now = max((found.modified_at or 0.0 for found in files.walk(folder)), default=0.0)
    freed = 0
    for found in stock.orphans:
        # A storage that does not tell how old a file is keeps it.
        if found.modified_at is not None and now - found.modified_at > ORPHAN_AGE_S:
            files.remove(found.name)
            files.prune(found.name.rpartition("/")[0])
            freed += found.size_bytes
    return freed


def _empty_quarantine(files: Files, stock: Inventory, excess: int) -> int:
    """Remove data that was set aside, as far as needed; the reasons stay. Return its bytes."""
    freed = 0
    for found in stock.quarantined:
        if freed >= excess:
            break
        files.remove(found.name)
        freed += found.size_bytes
    return freed


def _is_of(meta: bytes, entry: Entry) -> bool:
    """Whether metadata is still of this very entry."""
    try:
        content = read_object(meta)
    except DamagedError:
        return False
    return content.get("sha256") == entry.sha256 and content.get("data", entry.data) == entry.data
