"""The index spares reading; what it says is never taken for the truth."""

from __future__ import annotations

import json
import zlib

import pytest
import torch

from trainables.storage import inventory
from trainables.storage.index import NAME, read_index
from trainables.store import StageStore

KEYS = tuple(letter * 64 for letter in "abcdef")
A, B, C, *_ = KEYS


@pytest.fixture(autouse=True)
def _of_any_size(monkeypatch):
    """Keep an index of small stores too."""
    monkeypatch.setattr(inventory, "MIN_UNWRITTEN", 0)


def put(store, key, wall_s, tensor=None):
    value = torch.zeros(1000) if tensor is None else tensor
    notes = {"parent": "base", "wall_s": wall_s, "steps": 5, "sequence": "mnli"}
    return store.put("stages", key, {"x": value}, notes)


@pytest.fixture
def indexed(url):
    """A store of six stages, the first the cheapest, and its index."""
    store = StageStore(url)
    for wall_s, key in enumerate(KEYS, start=1):
        put(store, key, wall_s)
    assert len(store.entries()) == len(KEYS)
    assert read_index(store.files) is not None
    return store


def reads(store, monkeypatch):
    """Names of the small files that a store reads from now on."""
    seen, real = [], store.files.read_many
    monkeypatch.setattr(
        store.files, "read_many", lambda names: real([seen.append(n) or n for n in names])
    )
    return seen


def test_what_the_index_has_is_not_read(indexed, monkeypatch):
    fresh = StageStore(indexed.url)
    seen = reads(fresh, monkeypatch)
    assert fresh.size_bytes() == indexed.size_bytes()
    assert fresh.entries() == indexed.entries()
    assert not [name for name in seen if name.endswith("meta.json")]
    put(indexed, "0" * 64, 9)
    fresh = StageStore(indexed.url)
    seen = reads(fresh, monkeypatch)
    assert fresh.size_bytes() == indexed.size_bytes()
    assert [name for name in seen if name.endswith("meta.json")] == [
        f"stages/00/{'0' * 64}/meta.json"
    ]


def test_an_eviction_reads_what_it_removes_and_no_other(indexed, monkeypatch):
    fresh = StageStore(indexed.url)
    seen = reads(fresh, monkeypatch)
    assert [one.key for one in fresh.evict(fresh.size_bytes() - 1)] == [A]
    assert {name.split("/")[2] for name in seen if name.startswith("stages/")} == {A}


def test_uses_since_the_index_was_written_count(indexed):
    for _ in range(9):
        indexed.load(indexed.get("stages", A))
    fresh = StageStore(indexed.url)
    assert [one.key for one in fresh.evict(fresh.size_bytes() - 1)] == [B]


def test_what_others_did_since_is_found_out(indexed):
    fresh, other = StageStore(indexed.url), StageStore(indexed.url)
    size_bytes = fresh.size_bytes()
    other.drop("stages", A)
    other.drop("stages", B)
    new = put(other, B, 0.5, torch.ones(1000))
    cheap = put(other, "0" * 64, 0.1)
    # The index knows the b of before, and looks before it removes what it does not know.
    gone = fresh.evict(size_bytes - 2 * 4000)
    assert {one.key for one in gone} == {cheap.key, B}
    assert [one.data for one in gone if one.key == B] == [new.data]
    assert {entry.key for entry in fresh.entries()} == set(KEYS) - {A, B}
    assert fresh.size_bytes() == StageStore(indexed.url).size_bytes()


def test_an_entry_overwritten_by_a_stranger_is_not_evicted(indexed):
    fresh = StageStore(indexed.url)
    indexed.files.write(f"stages/aa/{A}/meta.json", b"{}")
    assert [one.key for one in fresh.evict(fresh.size_bytes() - 2000)] == [B]
    assert indexed.files.read(f"stages/aa/{A}/meta.json") == b"{}"


def forged(**columns):
    """An index whose entries are what they should not be."""

    def change(content):
        content["entries"].update(columns)
        return zlib.compress(json.dumps(content).encode())

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"not an index",
        lambda content: zlib.compress(json.dumps(content).encode())[:-9],
        lambda _: zlib.compress(b"[]"),
        lambda content: zlib.compress(json.dumps({**content, "format": 9}).encode()),
        forged(uses=["many"] * 6),
        forged(size_bytes=[1.5] * 6),
        forged(metadata=["none"] * 6),
        forged(meta=[[]] * 6),
        forged(key=[A]),
        forged(kind=[["stages"]] * 6),
    ],
)
def test_a_damaged_index_is_made_anew(indexed, damage):
    size = indexed.files.size(NAME)
    content = json.loads(zlib.decompress(indexed.files.read_data(NAME, size)))
    indexed.files.write(NAME, damage(content))
    assert read_index(indexed.files) is None
    fresh = StageStore(indexed.url)
    assert fresh.entries() == indexed.entries()
    assert read_index(fresh.files).rows.keys() == {("stages", key) for key in KEYS}


def test_a_lost_index_costs_nothing_but_time(indexed):
    indexed.files.remove(NAME)
    fresh = StageStore(indexed.url)
    assert [one.key for one in fresh.evict(fresh.size_bytes() - 1)] == [A]


def test_once_a_day_every_file_is_looked_at_where_the_store_is_weighed(indexed):
    """Data that a writer left who lost the race for an entry is found by a whole listing alone."""
    left = f"stages/ff/{KEYS[-1]}/data-{'0' * 16}-{'0' * 8}.safetensors"
    indexed.files.write(left, bytes(10_000))
    stocktaker = inventory.Stocktaker(indexed.files)
    later = read_index(indexed.files).listed_at + 25 * 3600
    size = stocktaker.take().size_bytes
    # To take stock may be part of a run's own work: it lists no file that it need not.
    assert stocktaker.take(now=later).orphans == []
    assert stocktaker.size_bytes() == size + 10_000
    assert stocktaker.size_bytes() == size + 10_000
    found = stocktaker.take(now=later + 1)
    assert [one.name for one in found.orphans] == [left]
    assert found.size_bytes == size + 10_000
    # It has been told of, and is looked for again a day later.
    assert stocktaker.size_bytes() == size
    assert stocktaker.take(now=later + 25 * 3600).orphans == []
    assert stocktaker.size_bytes() == size + 10_000


def test_what_was_nobodys_and_is_an_entrys_by_now_is_swept_by_no_one(indexed):
    """A writer had published its data, and not yet its metadata, when every file was listed."""
    meta = f"stages/aa/{A}/meta.json"
    content = indexed.files.read(meta)
    indexed.files.remove(meta)
    indexed.files.remove(NAME)
    stocktaker = inventory.Stocktaker(indexed.files)
    size = stocktaker.size_bytes()
    indexed.files.write(meta, content)
    stock = stocktaker.take()
    assert stock.orphans == []
    assert stock.size_bytes == size + len(content)
    assert len(stock.entries) == len(KEYS)
