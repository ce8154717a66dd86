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
from trainables.storage.eviction import Candidate, Choice, choose
from trainables.storage.files import Files
from trainables.storage.inventory import Inventory, Stocktaker
from trainables.storage.leases import Lease, Leases
from trainables.storage.presence import forget_dead, pinned_by_others
from trainables.storage.uses import CLOCK, read_clock

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
    now = max((found.modified_at or 0.0 for found in files.walk(_folder(lease))), default=0.0)
    gone: list[Evicted] = []
    try:
        forget_dead(files, leases.me, leases.is_alive)
        # What is known of an entry may be old; if it is again, it is not relied on any more.
        for exact in (False, False, True):
            stock = stocktaker.take(exact=exact, now=now)
            excess = stock.size_bytes - max_bytes
            excess -= _finish(files, stock)
            excess -= _sweep(files, stock, now)
            excess -= _empty_quarantine(files, stock, excess)
            others = pinned_by_others(files, leases.me, leases.is_alive)
            chosen, clock = _choose(stocktaker, stock, protected | others.keys(), excess)
            if not chosen:
                break
            files.write(CLOCK, json.dumps({"clock": max(clock, read_clock(files))}).encode())
            done, num_changed = _evict(files, chosen, leases)
            stocktaker.forget((choice.entry.kind, choice.entry.key) for choice in chosen)
            gone += done
            if not num_changed:
                break
    finally:
        leases.release(lease)
    return gone


def _choose(
    stocktaker: Stocktaker, stock: Inventory, protected: Set[EntryKey], excess_bytes: int
) -> tuple[list[Choice], float]:
    """Choose what is to go, by the uses that are noted by now.

    What is known of uses is never more than there were. So what goes by that is looked up, until
    nothing goes that was not: then all that stays is worth more, however often it was used since.
    """
    sure: dict[EntryKey, Candidate] = {}
    entries = stock.entries
    while True:
        chosen, clock = choose(entries, stock.tombstones, protected, excess_bytes)
        unsure = [c.entry for c in chosen if (c.entry.kind, c.entry.key) not in sure]
        if not unsure:
            return chosen, clock
        sure |= stocktaker.with_uses(unsure)
        entries = [sure.get((one.entry.kind, one.entry.key), one) for one in entries]


def _evict(files: Files, chosen: Sequence[Choice], leases: Leases) -> tuple[list[Evicted], int]:
    """Evict what was chosen, but for what others protect by now.

    Returns:
        What went, and how many were other than they were known.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    going: dict[EntryKey, tuple[Evicted, bytes]] = {}
    num_changed = 0
    for choice in chosen:
        entry = choice.entry
        name = meta_name(entry.kind, entry.key)
        meta = files.read_many([name]).get(name)
        if meta is None or not _is_of(meta, entry):
            num_changed += 1  # set aside, dropped or written anew since it was looked at
            continue
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
    return [evicted for evicted, _ in going.values()], num_changed


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


def _sweep(files: Files, stock: Inventory, now: float) -> int:
    """Remove old files that belong to no entry; return the bytes that this frees."""
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


def _folder(lease: Lease) -> str:
    """Return where a lease is, whose files tell the storage's clock."""
    return lease.name.rpartition("/")[0]
