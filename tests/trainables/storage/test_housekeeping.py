from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from tests.trainables.storage.stores import (
    KEY,
    TENSORS,
    all_names,
    content,
    data_of,
    same,
    store_of,
    stranger,
)
from trainables.storage.entries import encode_tombstone, tombstone_name
from trainables.storage.files import Found
from trainables.storage.leases import Lease
from trainables.storage.local_files import LocalFiles
from trainables.storage.presence import Presence
from trainables.store import StageStore

A, B, C = (letter * 64 for letter in "abc")


def fill(store, **wall_s):
    """Put stages of equal size, each built on the one before."""
    parent = "base"
    for key, seconds in wall_s.items():
        notes = {"parent": parent, "wall_s": seconds, "steps": 5, "sequence": key}
        store.put("stages", key * 64, {"x": torch.zeros(1000)}, notes)
        parent = key * 64


def evicted(store, *arguments):
    return [one.key[0] for one in store.evict(*arguments)]


def test_a_store_within_its_limit_is_left_alone(store):
    fill(store, a=1, b=2)
    assert store.evict(store.size_bytes()) == []
    assert store.evict(10**12) == []
    assert store.files.names("leases") == []


def test_an_evicted_stage_leaves_its_metadata_and_can_be_made_again(store):
    fill(store, a=1, b=2)
    (gone,) = store.evict(store.size_bytes() - 1)
    assert (gone.kind, gone.key, gone.rebuild_s) == ("stages", A, 1)
    assert gone.size_bytes == 4072
    assert store.get("stages", A) is None
    assert store.tombstone("stages", A) == gone
    assert gone.metadata["sequence"] == "a"
    assert store.evicted() == {A: gone}
    assert store.evicted_keys() == {A}
    assert [entry.key for entry in store.entries()] == [B]
    assert store.take_report().evicted == (gone,)
    fill(store, a=1)
    assert store.evicted() == {}
    assert store.tombstone("stages", A) is None
    assert [entry.key for entry in store.entries()] == [A, B]


def test_what_is_loaded_stays_longer_and_the_clock_rises(store):
    fill(store, a=1, b=2)
    for _ in range(2):
        store.load(store.get("stages", A))
    assert evicted(store, store.size_bytes() - 1) == ["b"]  # a: 3 uses of 1 s; b: one of 2 s
    clock = json.loads(store.files.read("clock.json"))["clock"]
    assert clock == pytest.approx(2 / 4072e-9)
    fill(store, c=0.1)
    assert store.get("stages", C).clock == clock
    # a has 3 uses of 1 s since the clock was 0, c is worth the clock and 0.1 s.
    assert evicted(store, store.size_bytes() - 1) == ["c"]


def test_both_kinds_make_room_and_what_is_protected_stays(store):
    fill(store, a=1, b=2)
    store.put("progress", f"{A}-10", {"x": torch.zeros(1000)}, {"steps": 10})
    store.put("progress", f"{B}-10", {"x": torch.zeros(1000)}, {"steps": 10})
    protected = {("stages", A), ("progress", f"{B}-10")}
    gone = store.evict(0, protected)
    assert {(one.kind, one.key) for one in gone} == {("stages", B), ("progress", f"{A}-10")}
    assert {(entry.kind, entry.key) for entry in store.entries()} == protected
    assert store.size_bytes() > 0


def test_what_another_run_protects_stays_unless_it_is_dead(url):
    mine, verdicts = StageStore(url, run="mine", ask=lambda o: verdicts[o.session]), {}
    fill(mine, a=1, b=2, c=3)
    others = [stranger(run=name) for name in ("living", "unknown", "dead")]
    for owner, key, verdict in zip(others, (A, B, C), (True, None, False), strict=True):
        presence = Presence(mine.files, owner)
        presence.beat()
        presence.pin({("stages", key)})
        verdicts[owner.session] = verdict
    assert [one.key for one in mine.evict(0)] == [C]
    assert sorted(entry.key for entry in mine.entries()) == [A, B]
    # What the dead left is cleared away on the way.
    assert len(mine.files.names("runs")) == 2


def test_room_is_made_beside_what_another_run_protects(url):
    mine, other = (store_of(url, stranger(run=name)) for name in ("mine", "other"))
    fill(mine, a=1, b=2)
    presence = Presence(other.files, other.me)
    presence.beat()
    presence.pin({("stages", A)})
    assert [one.key for one in mine.evict(mine.size_bytes() - 1)] == [B]


def test_what_a_later_version_wrote_is_never_swept(store):
    fill(store, a=1)
    folder, data = f"stages/bb/{B}", f"data-{'0' * 16}-later.safetensors"
    store.files.write(f"{folder}/meta.json", json.dumps({"format": 3}).encode())
    store.files.write(f"{folder}/{data}", bytes(100))
    age(store, f"{folder}/{data}")
    assert len(store.evict(0)) == 1
    assert content(store, f"{folder}/{data}") == bytes(100)


def test_one_process_evicts_at_a_time(url):
    one, two = (store_of(url, stranger(run=name)) for name in ("one", "two"))
    fill(one, a=1)
    lease = two.leases.acquire_named("store/evict")
    assert one.evict(0) == []
    two.leases.release(lease)
    assert [gone.key for gone in one.evict(0)] == [A]
    assert isinstance(two.leases.acquire_named("store/evict"), Lease)


def test_an_entry_that_changed_since_the_listing_stays(store, monkeypatch):
    fill(store, a=1, b=2)
    real = store._stocktaker.take

    def changed(**how):
        stock = real(**how)
        store.drop("stages", A)
        store.drop("stages", B)
        store.put("stages", B, TENSORS, {})
        return stock

    monkeypatch.setattr(store._stocktaker, "take", changed)
    assert store.evict(0) == []
    assert same(store.load(store.get("stages", B)), TENSORS)


def test_data_set_aside_makes_room_first(store):
    fill(store, a=1, b=2)
    store.files.write(data_of(store, key=A), b"damaged")
    assert store.get("stages", A) is None
    (report,) = store.take_report().quarantined
    assert store.evict(store.size_bytes() - 1) == []
    folder = report.where.removeprefix(store.files.where("")).lstrip("/")
    assert store.files.names(folder) == ["meta.json", "reason.json"]
    assert store.get("stages", B) is not None


def age(store, name):
    """Let a file be two days old."""
    if isinstance(store.files, LocalFiles):
        when = time.time() - 2 * 24 * 3600
        os.utime(store.files.where(name), (when, when))
        return
    real = store.files.walk

    def walk(folder):
        for found in real(folder):
            days = 2 * 24 * 3600 if found.name == name else 0
            yield Found(found.name, found.size_bytes, found.modified_at - days)

    store.files.walk = walk


def test_only_what_has_long_been_nobody_s_is_swept(store):
    fill(store, a=1)
    young, old = f"stages/bb/{B}/data-{'0' * 16}-{'0' * 8}.safetensors", f"stages/ab/{KEY}/.x.tmp"
    for name in (young, old):
        store.files.write(name, bytes(100))
    age(store, old)
    assert store.evict(store.size_bytes() - 1) == []
    assert content(store, young) == bytes(100)
    assert store.files.size(old) is None
    assert store.get("stages", A) is not None


def test_a_killed_eviction_is_finished_at_once(store):
    fill(store, a=1, b=2)
    before = all_names(store)
    (gone,) = store.evict(store.size_bytes() - 1)
    # As if it had been killed before the data was removed, and for b before the metadata was.
    store.files.write(f"stages/aa/{A}/{gone.data}", bytes(4072))
    store.files.write(tombstone_name("stages", B), encode_tombstone(gone))
    assert store.evicted().keys() == {A}
    store.evict(store.size_bytes() - 1)
    assert all_names(store) == [
        f"evicted/stages/{A}.json",
        *(name for name in before if B in name),
    ]


def test_damaged_notes_beside_an_entry_cost_nothing_but_what_they_say(store):
    fill(store, a=1, b=2)
    for name in (f"stages/aa/{A}/used.json", "clock.json", tombstone_name("stages", C)):
        store.files.write(name, b"not json")
    assert store.tombstone("stages", C) is None
    assert store.get("stages", A) is not None
    store.load(store.get("stages", A))
    assert len(store.evict(0)) == 2


def test_foreign_files_are_no_entries(store):
    fill(store, a=1)
    for name in ("stages/x", "stages/aa/short/meta.json", f"stages/zz/{B}/meta.json", "other/y"):
        store.files.write(name, b"{}")
    assert [entry.key for entry in store.entries()] == [A]
    assert len(store.evict(0)) == 1


def test_metadata_is_read_once(tmp_path, monkeypatch):
    store = StageStore(str(tmp_path))
    fill(store, a=1, b=2)
    store.entries()
    reads = []
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda p, *a, **k: (reads.append(p.name), real(p, *a, **k))[1]
    )
    fill(store, c=3)
    reads.clear()
    assert len(store.entries()) == 3
    assert reads.count("meta.json") == 1
