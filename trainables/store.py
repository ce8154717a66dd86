"""The stage store: content-addressed checkpoints, safetensors and metadata, no pickles.

An entry is a folder named by its key that holds its data and ``meta.json``. The data is written
first and the metadata made to appear last, so the metadata's presence *is* completeness. No file of
an entry is ever written over: who finds an entry of the same key there keeps it. See
``docs/architecture.md`` for what the store guarantees, and what not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from spaces.errors import InputError, StoreError
from trainables.storage import payload
from trainables.storage.entries import (
    EVICTED,
    USED,
    DamagedError,
    Entry,
    EntryKey,
    Evicted,
    Kind,
    check_key,
    decode,
    decode_tombstone,
    encode,
    folder_name,
    key_of_tombstone,
    meta_name,
    new_data_name,
    tombstone_name,
)
from trainables.storage.errors import EntryLostError, store_error
from trainables.storage.files import Files
from trainables.storage.housekeeping import evict
from trainables.storage.inventory import Stocktaker
from trainables.storage.leases import Leases
from trainables.storage.local_files import LocalFiles
from trainables.storage.owners import Ask, Owner
from trainables.storage.presence import Liveness, declare_dead, pinned_by_others
from trainables.storage.quarantine import Quarantined, set_aside
from trainables.storage.remote_files import RemoteFiles
from trainables.storage.uses import note_use, read_clock

__all__ = ["Entry", "EntryKey", "Evicted", "Kind", "StageStore", "StoreReport"]


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What happened to entries since the last report.

    Attributes:
        quarantined: What was damaged or foreign, and is set aside.
        evicted: What made room.
    """

    quarantined: tuple[Quarantined, ...] = ()
    evicted: tuple[Evicted, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


class StageStore:
    """Checkpoints by fingerprint on any fsspec filesystem.

    Args:
        url: Folder or fsspec URL (``/shared/stages``, ``s3://bucket/stages``).
        run: Identity of the run whose driver this process is; empty in every other process. A run
            has one driver at a time, so an earlier one is taken for dead.
        labels: What a cluster knows this process by (``{"ray_node": ...}``), for ``ask``.
        ask: What a cluster knows of another owner: alive, dead, or ``None``; see ``Liveness``.

    Raises:
        InputError: No such kind of URL, or its package is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        run: str = "",
        labels: Mapping[str, str] | None = None,
        ask: Ask | None = None,
    ) -> None:
        self.url = url
        self.files = open_files(url)
        self.me = Owner.this_process(run, labels)
        self.is_alive = Liveness(self.files, self.me, ask)
        self.leases = Leases(self.files, self.me, self.is_alive)
        self._stocktaker = Stocktaker(self.files)
        self._quarantined: list[Quarantined] = []
        self._evicted: list[Evicted] = []

    # Entries.

    def get(self, kind: Kind, key: str) -> Entry | None:
        """Return the entry, or ``None`` if there is no complete one.

        What is not an entry of ours, or has lost some of its data, is set aside: it is trained
        again like one that was never there, and ``take_report`` tells.

        Raises:
            StoreError: A later version wrote it, or the storage fails.
        """
        name = meta_name(kind, key)
        try:
            meta = self.files.read(name)
        except FileNotFoundError:
            return None
        try:
            entry = decode(kind, key, meta, self.files.where(name))
        except DamagedError as error:
            self._set_aside(kind, key, meta, None, f"meta.json: {error}")
            return None
        size = self.files.size(entry.data_name)
        if size != entry.size_bytes:
            found = "missing" if size is None else f"{size} bytes"
            reason = f"the data is {found}, {entry.size_bytes} bytes were written"
            self._set_aside(kind, key, meta, entry.data, reason)
            return None
        return entry

    def put(self, kind: Kind, key: str, data: Mapping[str, Any], metadata: dict[str, Any]) -> Entry:
        """Write an entry; atomic, so a reader sees all of it or nothing.

        If there is an entry of that key it is kept, and returned: what was trained from it stays
        trained from it.

        Args:
            kind: Kind of entry.
            key: Its fingerprint.
            data: Tensors by name, contiguous and on the CPU.
            metadata: JSON-able notes; ``wall_s``, ``steps`` and ``parent`` tell eviction what it
                would cost to have it again.

        Raises:
            StoreFullError: There is no room; nothing is left behind. Retryable.
            StoreUnreachableError: The storage does not answer. Retryable.
            StoreError: It may not be written there.
        """
        found = self.get(kind, key)
        if found is not None:
            return found
        folder = folder_name(kind, key)
        self.files.check_room(folder, payload.num_bytes(data))
        clock = read_clock(self.files)
        with self.files.spool(f"{folder}/data") as spooled:
            try:
                size_bytes, sha256 = payload.write(data, spooled)
            except OSError as error:
                raise store_error(error, str(spooled.parent), payload.num_bytes(data)) from error
            name = new_data_name(sha256)
            entry = Entry(kind, key, size_bytes, sha256, metadata, name, clock)
            self.files.publish(spooled, entry.data_name)
        while not self.files.create(meta_name(kind, key), encode(entry)):
            found = self.get(kind, key)
            if found is not None:
                self.files.remove(entry.data_name)
                return found
            # Another's was there, and is gone or set aside: ours may have the place.
        self.files.remove(tombstone_name(kind, key))
        return entry

    def load(self, entry: Entry) -> dict[str, Any]:
        """Read an entry's tensors, its checksum verified.

        Raises:
            EntryLostError: The data is damaged, and set aside; or the entry was evicted or removed
                since it was found. To train it again is the remedy.
        """
        try:
            tensors = payload.load(self.files, entry)
        except FileNotFoundError:
            reason = "the data is missing"
        except DamagedError as error:
            reason = str(error)
        else:
            if entry.kind == "stages":
                # Who may only read can still use an entry; his uses are not counted.
                with contextlib.suppress(StoreError):
                    note_use(self.files, entry)
            return tensors
        raise self._lost(entry, reason)

    def drop(self, kind: Kind, key: str) -> None:
        """Remove an entry, metadata first; nothing happens if there is none.

        Nothing happens either if this process drives a run and another run protects the entry.
        """
        entry = self.get(kind, key)
        if entry is None:
            return
        if self.me.run and (kind, key) in pinned_by_others(self.files, self.me, self.is_alive):
            return
        self.files.remove(meta_name(kind, key))
        self.files.remove(entry.data_name)
        self.files.remove(f"{entry.folder}/{USED}")
        self.files.prune(entry.folder)

    # Room.

    def size_bytes(self) -> int:
        """Return what the store takes, unfinished writes and what was set aside included.

        Quick: by the sizes that entries had when they were first seen.
        """
        return self._stocktaker.size_bytes()

    def entries(self) -> list[Entry]:
        """Return every complete entry, by a listing of every file; metadata is read once."""
        stock = self._stocktaker.take(exact=True)
        return [candidate.entry for candidate in stock.entries]

    def evicted(self, kind: Kind = "stages") -> dict[str, Evicted]:
        """Return the tombstones of entries that were evicted and not made again, by key."""
        stock = self._stocktaker.take(exact=True)
        there = {candidate.entry.key for candidate in stock.entries if candidate.entry.kind == kind}
        return {e.key: e for e in stock.tombstones if e.kind == kind and e.key not in there}

    def evicted_keys(self, kind: Kind = "stages") -> set[str]:
        """Return the keys of entries that were ever evicted; some may be there again.

        A listing of names: nothing is read.
        """
        names = (key_of_tombstone(name) for name in self.files.names(f"{EVICTED}/{kind}"))
        return {key for key in names if key is not None}

    def tombstone(self, kind: Kind, key: str) -> Evicted | None:
        """Return what is known of an evicted entry; ``None`` if it was never evicted."""
        name = tombstone_name(kind, key)
        found = self.files.read_many([name]).get(name)
        return None if found is None else decode_tombstone(kind, key, found)

    def evict(self, max_bytes: int, protected: Set[EntryKey] = frozenset()) -> list[Evicted]:
        """Make room, cheapest to rebuild first, until the store takes ``max_bytes`` at most.

        What is protected stays, by this run's word or another's that is not known to be dead; so
        the store may stay larger. See ``housekeeping.evict``.

        Args:
            max_bytes: What the store may take.
            protected: What must stay.
        """
        done = evict(self.files, self._stocktaker, self.leases, max_bytes, protected)
        self._evicted += done
        return done

    # Several runs.

    def declare_dead(self, run: str) -> list[Owner]:
        """Declare a run dead; for somebody who knows that none of its processes goes on."""
        return declare_dead(self.files, run)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the right to write ``key``; the operating system frees it when the holder dies.

        Between processes of one machine. On a filesystem without locks (object stores) nothing is
        held; ``leases`` work on every filesystem.
        """
        name = f"locks/{check_key(key)}.lock"
        with (
            self.files.locked(name)
            if isinstance(self.files, LocalFiles)
            else contextlib.nullcontext()
        ):
            yield

    # What to tell.

    def take_report(self) -> StoreReport:
        """Return what was set aside and evicted since this was last called."""
        report = StoreReport(tuple(self._quarantined), tuple(self._evicted))
        self._quarantined, self._evicted = [], []
        return report

    def _set_aside(self, kind: Kind, key: str, meta: bytes, data: str | None, reason: str) -> str:
        """Set an entry aside; return where it is now, empty if another did so before."""
        done = set_aside(self.files, kind, key, meta, data, reason)
        if done is None:
            return ""
        self._quarantined.append(done)
        return done.where

    def _lost(self, entry: Entry, reason: str) -> EntryLostError:
        """Set aside what could not be loaded, if it is still the same; return the error to raise.

        If the metadata is gone the entry was evicted or removed meanwhile, and nothing is damaged.
        """
        where = ""
        with contextlib.suppress(FileNotFoundError, DamagedError):
            meta = self.files.read(meta_name(entry.kind, entry.key))
            if decode(entry.kind, entry.key, meta, "").data != entry.data:
                reason = "it was written anew meanwhile"
            else:
                where = self._set_aside(entry.kind, entry.key, meta, entry.data, reason)
                where = f" It is set aside in {where}." if where else ""
        return EntryLostError(
            entry.kind,
            entry.key,
            f"{self.files.where(entry.data_name)}: {reason}.{where} It is trained again when it is "
            "needed; resume the run.",
        )


def open_files(url: str) -> Files:
    """Open a folder on whatever filesystem its URL names.

    Raises:
        InputError: No such kind of URL, or its package is not installed.
    """
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise InputError(
            f"storage.stages: {url!r} cannot be opened: {error}. Give a folder or an fsspec URL; "
            "for s3:// install taskorder[s3], for gs:// gcsfs."
        ) from None
    return LocalFiles(root) if isinstance(filesystem, LocalFileSystem) else RemoteFiles(url)
