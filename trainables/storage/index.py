"""The index of a store: what was known of its entries, so that they are not read again.

    index.json.z    a JSON object of columns, compressed; whole or not there

The entries are the truth. The index is a cache: it may be lost, old, damaged or written by two at
once, and every version of it will do. Who uses it lists the names that there are, reads what the
index lacks, and looks at an entry itself before it removes it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from trainables.storage.entries import Entry, EntryKey, Evicted
from trainables.storage.eviction import Candidate
from trainables.storage.files import Files

NAME = "index.json.z"
FORMAT_VERSION = 1
#: Level of compression: keys and checksums do not get much smaller.
_LEVEL = 1
_NUMBER = {int, float}
#: Types that a column may hold; a file may have been written by anybody.
_TYPES: Mapping[str, Set[type]] = {
    "kind": {str},
    "key": {str},
    "size_bytes": {int},
    "sha256": {str},
    "metadata": {dict},
    "data": {str},
    "clock": _NUMBER,
    "uses": _NUMBER,
    "used_at": _NUMBER,
    "num_bytes": {int},
    "meta": {list, type(None)},
    "rebuild_s": _NUMBER,
    "score": _NUMBER,
    "evicted_at": {str},
    "run": {str},
}


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of an entry.

    Attributes:
        candidate: The entry with its uses, which may have become more since.
        num_bytes: What its folder takes.
        meta: Size and time of its metadata in a listing; ``None`` if it was read without one.
    """

    candidate: Candidate
    num_bytes: int
    meta: tuple[int, float | None] | None


@dataclass(slots=True)
class Index:
    """What is known of a store.

    Attributes:
        rows: Entries by key.
        tombstones: Of evicted entries, by key.
        listed_at: When every file of the store was last listed, by the storage's own clock.
    """

    rows: dict[EntryKey, Row] = field(default_factory=dict)
    tombstones: dict[EntryKey, Evicted] = field(default_factory=dict)
    listed_at: float = 0.0


def read_index(files: Files) -> Index | None:
    """Return a store's index; ``None`` if there is none that can be used."""
    try:
        size = files.size(NAME)
        if size is None:
            return None
        with _uncollected():
            return _decode(json.loads(zlib.decompress(files.read_data(NAME, size))))
    except (FileNotFoundError, zlib.error, ValueError, TypeError, LookupError):
        return None  # lost, damaged or foreign: it is made anew


def write_index(files: Files, index: Index) -> None:
    """Write a store's index, over an old one.

    Raises:
        StoreError: It may not be written, or the storage fails.
    """
    entries = [row.candidate.entry for row in index.rows.values()]
    rows: dict[str, list[Any]] = _columns(Entry, entries)
    rows["uses"] = [row.candidate.uses for row in index.rows.values()]
    rows["used_at"] = [row.candidate.clock for row in index.rows.values()]
    rows["num_bytes"] = [row.num_bytes for row in index.rows.values()]
    rows["meta"] = [row.meta for row in index.rows.values()]
    content = {
        "format": FORMAT_VERSION,
        "listed_at": index.listed_at,
        "entries": rows,
        "evicted": _columns(Evicted, index.tombstones.values()),
    }
    payload = json.dumps(content, separators=(",", ":")).encode()
    files.write(NAME, zlib.compress(payload, _LEVEL), durable=False)


def _decode(content: Any) -> Index | None:
    """Return what an index says; ``None`` if another version wrote it.

    Raises:
        LookupError, TypeError, ValueError: It is not what the store would have written.
    """
    if content["format"] != FORMAT_VERSION:
        return None
    index = Index(listed_at=float(content["listed_at"]))
    names = (*Entry.__dataclass_fields__, "uses", "used_at", "num_bytes", "meta")
    for *of_entry, uses, used_at, num_bytes, meta in _lines(content["entries"], names):
        entry = Entry(*of_entry)
        candidate = Candidate(entry, uses, used_at)
        row = Row(candidate, num_bytes, None if meta is None else (meta[0], meta[1]))
        index.rows[entry.kind, entry.key] = row
    for values in _lines(content["evicted"], tuple(Evicted.__dataclass_fields__)):
        evicted = Evicted(*values)
        index.tombstones[evicted.kind, evicted.key] = evicted
    return index


def _lines(columns: Mapping[str, list[Any]], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Return the lines of a table whose columns hold what they should."""
    for name in names:
        if not set(map(type, columns[name])) <= _TYPES[name]:
            raise ValueError(name)
    return zip(*(columns[name] for name in names), strict=True)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let no garbage be looked for meanwhile: half the time of decoding, and there is none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _columns(of: type, items: Iterable[Any]) -> dict[str, list[Any]]:
    """Return the attributes of dataclasses, one list each."""
    kept = list(items)
    names: Iterable[str] = of.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: [getattr(item, name) for item in kept] for name in names}
