"""The store against an in-memory model: two runs, one store, everything that can happen to it."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid

import fsspec
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from spaces.errors import StoreError
from tests.trainables.storage.stores import store_of, stranger
from trainables.storage import inventory
from trainables.storage.entries import meta_name
from trainables.storage.leases import Lease
from trainables.storage.presence import Presence

KEYS = ("aa01", "aa02", "bb01")
KINDS = ("stages", "progress")
ALL = tuple((kind, key) for kind in KINDS for key in KEYS)
SIZE = len(KEYS) * 1000
RUNS = st.integers(0, 1)
WHICH = st.sampled_from(ALL)


class StoreModel(RuleBasedStateMachine):
    """Values by entry in a dict, beside what is damaged, evicted, pinned and leased."""

    url = ""
    leases = Bundle("leases")

    @initialize()
    def begin(self):
        # The index is kept of any store, so that each of them finds one that another wrote.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(inventory, "MIN_UNWRITTEN", 0)
        self.folder = None
        if self.url == "local":
            self.folder = tempfile.mkdtemp()
        place = self.folder or f"memory://{uuid.uuid4().hex}"
        self.dead = set()
        self.stores, self.presences = {}, {}
        self.place = place
        self.there, self.damaged, self.evicted = {}, {}, set()
        self.pins = {0: frozenset(), 1: frozenset()}
        self.holder = {}
        for run in (0, 1):
            self.start(run)

    def start(self, run):
        owner = stranger(run=f"run{run}")
        ask = lambda o: False if o.session in self.dead else None  # noqa: E731
        self.stores[run] = store_of(self.place, owner, ask)
        self.presences[run] = Presence(self.stores[run].files, owner)
        self.presences[run].beat()

    def teardown(self):
        if not hasattr(self, "place"):
            return
        self.patch.undo()
        if self.folder:
            shutil.rmtree(self.folder)
        else:
            # Every listing goes through all that any test has left in memory.
            fsspec.filesystem("memory").rm(self.place, recursive=True)

    def gone(self, which):
        self.there.pop(which, None)
        self.damaged.pop(which, None)

    @rule(run=RUNS, which=WHICH, value=st.integers(0, 99), wall_s=st.integers(1, 9))
    def put(self, run, which, value, wall_s):
        tensors = {"x": torch.tensor([value])}
        entry = self.stores[run].put(*which, tensors, {"value": value, "wall_s": wall_s})
        if self.damaged.get(which) == "short":
            self.gone(which)  # noticed, set aside, written anew
        if which not in self.there:
            self.there[which] = value
            self.evicted.discard(which)
        if which not in self.damaged:
            assert entry.metadata["value"] == self.there[which]

    @rule(run=RUNS, which=WHICH)
    def drop(self, run, which):
        self.stores[run].drop(*which)
        if which not in self.pins[1 - run]:
            self.gone(which)

    @rule(which=WHICH, how=st.sampled_from(["flipped", "short", "missing"]))
    def corrupt(self, which, how):
        store = self.stores[0]
        if which not in self.there or which in self.damaged:
            return
        meta = json.loads(store.files.read(meta_name(*which)))
        name = f"{meta_name(*which).rpartition('/')[0]}/{meta['data']}"
        content = bytes(store.files.read_data(name, 10**6))
        match how:
            case "flipped":
                store.files.write(name, content[:-1] + bytes([content[-1] ^ 1]))
            case "short":
                store.files.write(name, content[:-1])
            case "missing":
                store.files.remove(name)
        self.damaged[which] = "flipped" if how == "flipped" else "short"

    @rule(which=WHICH, meta=st.sampled_from([b"", b"{}", b'{"format": 2, "kind": "stages"}']))
    def forge(self, which, meta):
        self.stores[0].files.write(meta_name(*which), meta)
        # Whatever was there: now there is nothing that can be read as an entry.
        self.gone(which)

    @rule(run=RUNS, which=WHICH)
    def load(self, run, which):
        store = self.stores[run]
        entry = store.get(*which)
        if self.damaged.get(which) == "short":
            self.gone(which)
        assert (entry is not None) == (which in self.there)
        if entry is None:
            return
        if which in self.damaged:
            with pytest.raises(StoreError, match="set aside"):
                store.load(entry)
            self.gone(which)
        else:
            assert store.load(entry)["x"].tolist() == [self.there[which]]

    @rule(run=RUNS, keys=st.frozensets(WHICH, max_size=3))
    def pin(self, run, keys):
        self.presences[run].pin_exactly(keys)
        self.pins[run] = keys

    @rule(
        run=RUNS, protected=st.frozensets(WHICH, max_size=2), share=st.sampled_from([0, 0.5, 0.9])
    )
    def evict(self, run, protected, share):
        store = self.stores[run]
        limit = int(store.size_bytes() * share)
        done = {(one.kind, one.key) for one in store.evict(limit, protected)}
        kept = protected | self.pins[1 - run]
        assert not done & kept
        for which in done:
            assert which in self.there
            self.gone(which)
            self.evicted.add(which)
        if not set(self.there) <= kept | {w for w, how in self.damaged.items() if how == "short"}:
            assert store.size_bytes() <= limit or share == 0

    @rule(run=RUNS)
    def die_and_begin_again(self, run):
        self.dead.add(self.stores[run].me.session)
        self.pins[run] = frozenset()
        self.holder = {which: owner for which, owner in self.holder.items() if owner != run}
        self.start(run)

    @rule(target=leases, run=RUNS, which=WHICH)
    def acquire(self, run, which):
        found = self.stores[run].leases.acquire(*which)
        free = which not in self.holder
        assert isinstance(found, Lease) == free
        if free:
            self.holder[which] = run
            return run, which, found, self.stores[run]
        assert found.owner == self.stores[self.holder[which]].me
        return None

    @rule(held=leases)
    def release(self, held):
        if held is None:
            return
        run, which, lease, store = held
        is_in_force = store.leases.holds(lease) and store is self.stores[run]
        store.leases.release(lease)
        if is_in_force:
            self.holder.pop(which, None)

    @rule()
    def reopen(self):
        """A store remembers nothing that matters."""
        for store in self.stores.values():
            store._stocktaker = inventory.Stocktaker(store.files)

    @invariant()
    def what_is_seen_without_touching_agrees(self):
        store = self.stores[0]
        whole = {which for which in self.there if self.damaged.get(which) != "short"}
        found = {(entry.kind, entry.key) for entry in store.entries()}
        assert whole <= found <= set(self.there)
        for kind in KINDS:
            gone = {which[1] for which in self.evicted if which[0] == kind}
            there = {key for of, key in found if of == kind}
            assert store.evicted(kind).keys() == gone - there


class LocalModel(StoreModel):
    url = "local"


class MemoryModel(StoreModel):
    url = "memory"


LocalModel.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
MemoryModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLocalModel = pytest.mark.timeout(600)(LocalModel.TestCase)
TestMemoryModel = pytest.mark.timeout(600)(MemoryModel.TestCase)
