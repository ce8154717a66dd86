"""What there is in a store: its entries with their uses, its tombstones, and what is nobody's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from spaces.errors import StoreError
from trainables.storage.entries import (
    EVICTED,
    KINDS,
    META,
    USED,
    DamagedError,
    Entry,
    EntryKey,
    Evicted,
    decode,
    decode_tombstone,
    key_of_tombstone,
    meta_name,
    number,
    read_object,
)
from trainables.storage.eviction import Candidate
from trainables.storage.files import Files, Found
from trainables.storage.quarantine import QUARANTINE, REASON

CLOCK = "clock.json"


@dataclass
class Inventory:
    """What a listing of the store shows.

    Attributes:
        size_bytes: Bytes of all of it.
        entries: The complete entries, with their uses.
        tombstones: The evicted ones.
        orphans: Data and temporary files that belong to no entry.
        quarantined: Data that was set aside, oldest first.
    """

    size_bytes: int
    entries: list[Candidate]
    tombstones: list[Evicted]
    orphans: list[Found]
    quarantined: list[Found]


class Stocktaker:
    """Takes stock of a store; what it has read once it does not read again.

    Args:
        files: The store's files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._known: dict[Found, Entry] = {}

    def size_bytes(self) -> int:
        """Return what the store takes: entries, what is nobody's, what was set aside."""
        return sum(found.size_bytes for found in self._listing())

    def take(self) -> Inventory:
        """Return what there is."""
        found = {item.name: item for item in self._listing()}
        set_aside = {name for name in found if name.startswith(f"{QUARANTINE}/")}
        entries = self._read_entries(found)
        used = self._files.read_many(
            name for name in (f"{entry.folder}/{USED}" for entry in entries) if name in found
        )
        data = {entry.data_name for entry in entries}
        # Metadata that we cannot read may be a later version's: its files are not ours to sweep.
        strange = {name.rpartition("/")[0] for name in found if name.endswith(f"/{META}")}
        strange -= {entry.folder for entry in entries}
        return Inventory(
            size_bytes=sum(item.size_bytes for item in found.values()),
            entries=[_candidate(entry, used.get(f"{entry.folder}/{USED}")) for entry in entries],
            tombstones=self._tombstones(),
            orphans=[
                item
                for name, item in found.items()
                if name not in data
                and name not in set_aside
                and not name.endswith((f"/{META}", f"/{USED}"))
                and name.rpartition("/")[0] not in strange
            ],
            quarantined=sorted(
                (found[name] for name in set_aside if not name.endswith((REASON, META))),
                key=lambda item: item.modified_at or 0.0,
            ),
        )

    def _listing(self) -> Iterator[Found]:
        for top in (*KINDS, QUARANTINE):
            yield from self._files.walk(top)

    def _read_entries(self, found: dict[str, Found]) -> list[Entry]:
        """Return the complete entries; what is damaged is set aside by whoever looks for it."""
        keys = {name: key for name in found if (key := _key_of(name)) is not None}
        known = {
            found[name]: entry
            for name in keys
            if (entry := self._known.get(found[name])) is not None and entry.data_name in found
        }
        for name, payload in self._files.read_many(
            n for n in keys if found[n] not in known
        ).items():
            try:
                entry = decode(*keys[name], payload, self._files.where(name))
            except (DamagedError, StoreError):
                continue  # damaged, or a later version's
            if entry.data_name in found:
                known[found[name]] = replace(entry, size_bytes=found[entry.data_name].size_bytes)
        self._known = known
        return sorted(known.values(), key=lambda entry: (entry.kind, entry.key))

    def _tombstones(self) -> list[Evicted]:
        names: dict[str, EntryKey] = {}
        for kind in KINDS:
            for name in self._files.names(f"{EVICTED}/{kind}"):
                if (key := key_of_tombstone(name)) is not None:
                    names[f"{EVICTED}/{kind}/{name}"] = kind, key
        read = self._files.read_many(names)
        decoded = (decode_tombstone(*names[name], payload) for name, payload in read.items())
        return [evicted for evicted in decoded if evicted is not None]


def read_clock(files: Files) -> float:
    """Return the store's eviction clock."""
    payload = files.read_many([CLOCK]).get(CLOCK, b"{}")
    try:
        return number(read_object(payload).get("clock"))
    except DamagedError:
        return 0.0


def note_use(files: Files, entry: Entry) -> None:
    """Count a use of an entry. Two at the same moment may be counted as one."""
    name = f"{entry.folder}/{USED}"
    uses = _uses(files.read_many([name]).get(name))
    content = {"uses": (uses[0] if uses else 1.0) + 1, "clock": read_clock(files)}
    files.write(name, json.dumps(content).encode(), durable=False)


def _key_of(name: str) -> EntryKey | None:
    """Return the entry whose metadata a file is; ``None`` for any other file."""
    for kind in KINDS:
        if name.startswith(f"{kind}/") and name.endswith(f"/{META}"):
            key = name.split("/")[-2]
            try:
                return (kind, key) if meta_name(kind, key) == name else None
            except StoreError:
                return None
    return None


def _candidate(entry: Entry, used: bytes | None) -> Candidate:
    uses = _uses(used)
    return Candidate(entry, *uses) if uses else Candidate(entry, 1.0, entry.clock)


def _uses(payload: bytes | None) -> tuple[float, float] | None:
    """Return how often an entry was used and the clock then; ``None`` if that is not noted."""
    if payload is None:
        return None
    try:
        content = read_object(payload)
    except DamagedError:
        return None
    return max(1.0, number(content.get("uses"))), number(content.get("clock"))
