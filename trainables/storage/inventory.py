"""What there is in a store: its entries with their uses, its tombstones, and what is nobody's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import cast

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
    Kind,
    decode,
    decode_tombstone,
    folder_name,
    key_of_tombstone,
    meta_name,
    tombstone_name,
)
from trainables.storage.eviction import Candidate
from trainables.storage.files import Files, Found
from trainables.storage.index import Index, Row, read_index, write_index
from trainables.storage.quarantine import QUARANTINE, REASON
from trainables.storage.uses import candidate_of

#: Every file is listed when that was not done for a day, by the storage's own clock: files that are
#: nobody's are swept at that age, and what the index may have wrong is put right. A store of many
#: entries takes minutes for it, so it is done where the store is weighed, beside a run's own work.
EXACT_EVERY_S = 24 * 3600.0
#: The index is written when more of it has changed: so many entries, or this share of them.
MIN_UNWRITTEN, UNWRITTEN_SHARE = 100, 0.02


@dataclass
class Inventory:
    """What a listing of the store shows.

    Attributes:
        size_bytes: Bytes of all of it.
        entries: The complete entries; what is known of their uses, which may be more by now.
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
    """Takes stock of a store; what it, or the index, has read once it does not read again.

    A quick look lists the folders of entries and trusts what is known of them: an entry that
    another process evicted and made again is told as it was first. An exact one lists every file.

    Args:
        files: The store's files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._index: Index | None = None
        self._num_unwritten = 0
        self._is_exact_due = False
        #: The storage's clock, when it was last known.
        self._now = 0.0
        #: What the last exact look found that belongs to no entry, until it is told.
        self._strays: list[Found] = []

    def size_bytes(self) -> int:
        """Return what the store takes: entries, what is nobody's, what was set aside.

        Quick, but for an exact look where there is no index, and one a day.
        """
        index, loose = self._look(frozenset(), exact=self._is_exact_due)
        files = (*loose, *self._files.walk(QUARANTINE))
        return _num_bytes(index) + sum(found.size_bytes for found in files)

    def take(self, *, exact: bool = False, now: float = 0.0) -> Inventory:
        """Return what there is.

        Args:
            exact: Whether to list every file.
            now: The storage's clock, if it is known. Where the last exact look was a day ago, the
                next ``size_bytes`` is one.
        """
        self._now = max(self._now, now)
        evicted = self._evicted_keys()
        index, loose = self._look(evicted, exact=exact)
        self._strays = []
        self._is_exact_due |= now - index.listed_at > EXACT_EVERY_S
        if exact:
            index.tombstones.clear()
        folders = {_folder(found.name) for found in loose}
        index.tombstones = self._tombstones(index.tombstones, evicted, folders)
        self._keep_index(index)
        # Metadata that we cannot read may be a later version's: its files are not ours to sweep.
        strange = {_folder(found.name) for found in loose if found.name.endswith(f"/{META}")}
        quarantine = list(self._files.walk(QUARANTINE))
        return Inventory(
            size_bytes=_num_bytes(index) + sum(f.size_bytes for f in (*loose, *quarantine)),
            entries=[index.rows[key].candidate for key in sorted(index.rows)],
            tombstones=list(index.tombstones.values()),
            orphans=[
                found
                for found in loose
                if not found.name.endswith((f"/{META}", f"/{USED}"))
                and _folder(found.name) not in strange
            ],
            quarantined=sorted(
                (found for found in quarantine if not found.name.endswith((REASON, META))),
                key=lambda found: found.modified_at or 0.0,
            ),
        )

    def with_uses(self, entries: Iterable[Entry]) -> dict[EntryKey, Candidate]:
        """Return entries with the uses that are noted by now."""
        names = {f"{entry.folder}/{USED}": entry for entry in entries}
        found = self._files.read_many(names)
        return {
            (entry.kind, entry.key): candidate_of(entry, found.get(name))
            for name, entry in names.items()
        }

    def forget(self, keys: Iterable[EntryKey]) -> None:
        """Forget entries that have changed."""
        if self._index is not None:
            for key in keys:
                self._index.rows.pop(key, None)
                self._index.tombstones.pop(key, None)

    def _look(self, evicted: Set[EntryKey], *, exact: bool) -> tuple[Index, list[Found]]:
        """Bring the index up to date; return it, and the files that belong to no entry in it."""
        index = read_index(self._files) if self._index is None else self._index
        if exact or index is None:
            index = index or Index()
            loose = self._strays = self._list_files(index)
            self._is_exact_due = False
        else:
            loose = self._list_folders(index, evicted)
            loose += [found for found in self._strays if _is_still_stray(found.name, index)]
        self._index = index
        return index, loose

    def _list_folders(self, index: Index, evicted: Set[EntryKey]) -> list[Found]:
        """Look for entries that came and went; one with a tombstone may be half evicted."""
        there = set(self._keys())
        new = {key for key in there if key not in index.rows or key in evicted}
        self._renew(index, there - new, new)
        loose = new - index.rows.keys()
        return [found for key in loose for found in self._files.walk(folder_name(*key))]

    def _list_files(self, index: Index) -> list[Found]:
        """List every file; read the entries that are new or have changed."""
        folders: dict[str, dict[str, Found]] = {}
        index.listed_at = self._now
        for found in (found for kind in KINDS for found in self._files.walk(kind)):
            folders.setdefault(_folder(found.name), {})[found.name] = found
            index.listed_at = max(index.listed_at, found.modified_at or 0.0)
        metas = {
            key: meta
            for folder, files in folders.items()
            if (key := _key_of(folder)) is not None and (meta := files.get(f"{folder}/{META}"))
        }
        same = {k for k, m in metas.items() if k in index.rows and index.rows[k].meta == m[1:]}
        self._renew(index, same, metas.keys() - same)
        for key, row in list(index.rows.items()):
            entry = row.candidate.entry
            files = folders[entry.folder]
            data = files.get(entry.data_name)
            if data is None:
                del index.rows[key]  # damaged: whoever looks for it sets it aside
                continue
            used = files.get(f"{entry.folder}/{USED}")
            own = [data, metas[key], *([used] if used else [])]
            candidate = replace(row.candidate, entry=replace(entry, size_bytes=data.size_bytes))
            num_bytes = sum(found.size_bytes for found in own)
            index.rows[key] = Row(candidate, num_bytes, (metas[key][1], metas[key][2]))
            for found in own:
                del files[found.name]
        return [found for files in folders.values() for found in files.values()]

    def _keys(self) -> Iterator[EntryKey]:
        """Return the entries that there are folders of."""
        shards = [f"{kind}/{shard}" for kind in KINDS for shard in self._files.names(kind)]
        for shard, names in self._files.names_many(shards).items():
            for name in names:
                if (key := _key_of(f"{shard}/{name}")) is not None:
                    yield key

    def _renew(self, index: Index, kept: Set[EntryKey], new: Iterable[EntryKey]) -> None:
        """Keep some entries, read others, forget the rest.

        What is damaged, or a later version's, is not among them.
        """
        gone = index.rows.keys() - kept
        for key in gone:
            del index.rows[key]
        names = {meta_name(*key): key for key in new}
        for name, payload in self._files.read_many(names).items():
            key = names[name]
            with contextlib.suppress(DamagedError, StoreError):
                entry = decode(*key, payload, self._files.where(name))
                candidate = Candidate(entry, 1.0, entry.clock)
                index.rows[key] = Row(candidate, entry.size_bytes + len(payload), None)
        self._num_unwritten += len(gone | names.keys())

    def _keep_index(self, index: Index) -> None:
        """Write the index if it has changed much; who may only read the store does without."""
        if self._num_unwritten > max(MIN_UNWRITTEN, UNWRITTEN_SHARE * len(index.rows)):
            with contextlib.suppress(StoreError):
                write_index(self._files, index)
            self._num_unwritten = 0

    def _evicted_keys(self) -> set[EntryKey]:
        """Return the keys of tombstones."""
        return {
            (kind, key)
            for kind in KINDS
            for name in self._files.names(f"{EVICTED}/{kind}")
            if (key := key_of_tombstone(name)) is not None
        }

    def _tombstones(
        self, known: Mapping[EntryKey, Evicted], keys: Iterable[EntryKey], folders: Set[str]
    ) -> dict[EntryKey, Evicted]:
        """Return tombstones; anew where there are files: their eviction is to be finished."""
        found = {k: known[k] for k in keys if k in known and folder_name(*k) not in folders}
        names = {tombstone_name(*key): key for key in keys if key not in found}
        for name, payload in self._files.read_many(names).items():
            evicted = decode_tombstone(*names[name], payload)
            if evicted is not None:
                found[names[name]] = evicted
        self._num_unwritten += len(names)
        return found


def _num_bytes(index: Index) -> int:
    """Return what the entries take that are known."""
    return sum(row.num_bytes for row in index.rows.values())


def _is_still_stray(name: str, index: Index) -> bool:
    """Whether a file that was nobody's is so still, and is not seen by a look at the folders."""
    key = _key_of(_folder(name))
    if key is None:
        return True
    row = index.rows.get(key)
    if row is None:
        return False
    entry = row.candidate.entry
    return name not in (entry.data_name, meta_name(*key), f"{entry.folder}/{USED}")


def _folder(name: str) -> str:
    """Return the folder of a file."""
    return name.rpartition("/")[0]


def _key_of(folder: str) -> EntryKey | None:
    """Return the entry whose folder this is; ``None`` for any other folder."""
    kind, _, rest = folder.partition("/")
    key = rest.rpartition("/")[2]
    try:
        return (cast("Kind", kind), key) if folder_name(kind, key) == folder else None
    except StoreError:
        return None
