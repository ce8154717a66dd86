from __future__ import annotations

import json
import multiprocessing
import os
import time
import uuid
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from spaces.errors import StoreError
from trainables.store import DATA, META, StageStore

KEY = "ab" * 32
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(7)}


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    """A store on each kind of filesystem."""
    if request.param == "local":
        return StageStore(str(tmp_path / "stages"))
    return StageStore(f"memory://{uuid.uuid4().hex}/stages")


def folder_of(store, kind="stages", key=KEY):
    return store._path(kind, key)


def write(store, name, payload):
    store._fs.pipe_file(f"{folder_of(store)}/{name}", payload)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_what_is_put_is_got(store):
    assert store.get("stages", KEY) is None
    written = store.put("stages", KEY, TENSORS, {"steps": 3, "sequence": "a>b"})
    entry = store.get("stages", KEY)
    assert entry == written
    assert entry.metadata == {"steps": 3, "sequence": "a>b"}
    assert same(store.load(entry), TENSORS)
    assert store.get("progress", KEY) is None


def test_another_process_finds_it(store):
    store.put("stages", KEY, TENSORS, {})
    again = StageStore(store.url)
    assert same(again.load(again.get("stages", KEY)), TENSORS)


def test_putting_twice_keeps_the_last(store):
    store.put("stages", KEY, TENSORS, {"run": 1})
    store.put("stages", KEY, {"weight": torch.ones(1)}, {"run": 2})
    entry = store.get("stages", KEY)
    assert entry.metadata == {"run": 2}
    assert same(store.load(entry), {"weight": torch.ones(1)})


def test_drop(store):
    store.drop("stages", KEY)
    store.put("stages", KEY, TENSORS, {})
    store.drop("stages", KEY)
    assert store.get("stages", KEY) is None
    assert not store._fs.exists(folder_of(store))
    store.drop("stages", KEY)
    store.put("stages", KEY, TENSORS, {})
    assert store.get("stages", KEY) is not None


def test_data_without_metadata_is_no_entry(store, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    real = StageStore._write
    monkeypatch.setattr(
        StageStore, "_write", lambda *a: killed() if a[1].endswith(META) else real(*a)
    )
    with pytest.raises(KeyboardInterrupt):
        store.put("stages", KEY, TENSORS, {})
    monkeypatch.undo()
    assert store._fs.exists(folder_of(store))
    assert store.get("stages", KEY) is None
    store.put("stages", KEY, TENSORS, {})
    assert same(store.load(store.get("stages", KEY)), TENSORS)


def data_file(store):
    (name,) = [path for path in store._fs.ls(folder_of(store), detail=False) if META not in path]
    return name


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "missing"])
def test_damaged_data_is_told_with_the_remedy(store, damage):
    entry = store.put("stages", KEY, TENSORS, {})
    path = data_file(store)
    payload = store._fs.cat_file(path)
    match damage:
        case "flipped":
            store._fs.pipe_file(path, payload[:-1] + bytes([payload[-1] ^ 1]))
        case "truncated":
            store._fs.pipe_file(path, payload[:40])
        case "empty":
            store._fs.pipe_file(path, b"")
        case "missing":
            store._fs.rm_file(path)
    with pytest.raises(StoreError, match=r"not match its checksum .*Remove the folder .* resume"):
        store.load(entry)


@pytest.mark.parametrize(
    "meta",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        json.dumps({"format": 99, "key": KEY}).encode(),
        json.dumps(
            {"format": 1, "key": "cd" * 32, "size_bytes": 1, "sha256": "", "metadata": {}}
        ).encode(),
    ],
)
def test_foreign_metadata_is_told_with_the_remedy(store, meta):
    store.put("stages", KEY, TENSORS, {})
    write(store, META, meta)
    with pytest.raises(StoreError, match=r"is not an entry of this store .*Remove its folder"):
        store.get("stages", KEY)


def test_a_reader_never_sees_the_data_of_another_writer(store, monkeypatch):
    """Two writers of one key, of other bits (another device): the metadata names its own data."""
    store.put("stages", KEY, TENSORS, {"writer": 1})
    real = StageStore._write
    monkeypatch.setattr(StageStore, "_write", lambda *a: None if a[1].endswith(META) else real(*a))
    store.put("stages", KEY, {"weight": torch.ones(1)}, {"writer": 2})
    assert same(store.load(store.get("stages", KEY)), TENSORS)


def test_local_files_are_written_beside_and_renamed(tmp_path):
    store = StageStore(str(tmp_path))
    store.put("stages", KEY, TENSORS, {})
    names = sorted(path.name for path in (tmp_path / "stages" / "ab" / KEY).iterdir())
    assert names[-1] == META
    assert len(names) == 2
    assert names[0].startswith(DATA.split("{", maxsplit=1)[0])


def _hold(url, log, rounds):
    store = StageStore(url)
    for _ in range(rounds):
        with store.lock(KEY):
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(f"in {os.getpid()}\n")
            time.sleep(0.002)
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(f"out {os.getpid()}\n")


def test_two_processes_never_hold_one_key_together(tmp_path):
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    arguments = (str(tmp_path / "stages"), str(log), 25)
    processes = [context.Process(target=_hold, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 100
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert entered.replace("in", "out") == left


def _hold_for_ever(url, ready):
    with StageStore(url).lock(KEY):
        ready.set()
        time.sleep(600)


def test_a_dead_holder_frees_the_lock(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold_for_ever, args=(str(tmp_path), ready))
    process.start()
    assert ready.wait(20)
    process.kill()
    process.join(20)
    with StageStore(str(tmp_path)).lock(KEY):
        pass


class StoreModel(RuleBasedStateMachine):
    """The store against a dict; damaged entries are marked in it."""

    keys = st.sampled_from(["aa01", "aa02", "bb01"])
    kinds = st.sampled_from(["stages", "progress"])

    @initialize()
    def begin(self):
        self.store = StageStore(f"memory://{uuid.uuid4().hex}")
        self.model = {}
        self.damaged = set()

    @rule(kind=kinds, key=keys, value=st.integers(0, 99))
    def put(self, kind, key, value):
        self.store.put(kind, key, {"x": torch.tensor([value])}, {"value": value})
        self.model[kind, key] = value
        self.damaged.discard((kind, key))

    @rule(kind=kinds, key=keys)
    def drop(self, kind, key):
        self.store.drop(kind, key)
        self.model.pop((kind, key), None)
        self.damaged.discard((kind, key))

    @rule(kind=kinds, key=keys)
    def corrupt(self, kind, key):
        if (kind, key) in self.model:
            folder = folder_of(self.store, kind, key)
            for path in self.store._fs.ls(folder, detail=False):
                if META not in path:
                    self.store._fs.pipe_file(path, b"damaged")
            self.damaged.add((kind, key))

    @rule()
    def reopen(self):
        self.store = StageStore(self.store.url)

    @invariant()
    def agrees(self):
        for kind in ("stages", "progress"):
            for key in ("aa01", "aa02", "bb01"):
                entry = self.store.get(kind, key)
                if (kind, key) not in self.model:
                    assert entry is None
                elif (kind, key) in self.damaged:
                    with pytest.raises(StoreError):
                        self.store.load(entry)
                else:
                    value = self.model[kind, key]
                    assert entry.metadata == {"value": value}
                    assert self.store.load(entry)["x"].tolist() == [value]


StoreModel.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestStoreModel = StoreModel.TestCase
