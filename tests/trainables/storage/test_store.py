from __future__ import annotations

import copy
import json
import multiprocessing
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from spaces.errors import InputError, StoreError
from tests.trainables.storage.stores import KEY, TENSORS, all_names, content, data_of, same
from trainables.storage.entries import folder_name, meta_name
from trainables.storage.errors import EntryLostError, StoreFullError
from trainables.store import StageStore

META = meta_name("stages", KEY)


def test_what_is_put_is_got(store):
    assert store.get("stages", KEY) is None
    written = store.put("stages", KEY, TENSORS, {"steps": 3, "sequence": "a>b"})
    entry = store.get("stages", KEY)
    assert entry == written
    assert entry.metadata == {"steps": 3, "sequence": "a>b"}
    assert same(store.load(entry), TENSORS)
    assert store.get("progress", KEY) is None
    assert store.take_report().to_json() == {"quarantined": (), "evicted": ()}


def test_another_process_finds_it(store):
    if store.url.startswith("memory"):
        pytest.skip("each process has a memory filesystem of its own")
    store.put("stages", KEY, TENSORS, {})
    code = (
        "import sys; from trainables.store import StageStore; store = StageStore(sys.argv[1]);"
        "print(store.load(store.get('stages', sys.argv[2]))['weight'].tolist())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, store.url, KEY], check=True, capture_output=True, text=True
    )
    assert json.loads(found.stdout) == TENSORS["weight"].tolist()


def test_putting_twice_keeps_the_first(store):
    first = store.put("stages", KEY, TENSORS, {"run": 1})
    second = store.put("stages", KEY, {"weight": torch.ones(1)}, {"run": 2})
    assert second == first
    assert same(store.load(store.get("stages", KEY)), TENSORS)
    assert len(all_names(store)) == 3  # data, metadata, uses


def test_what_is_there_is_not_written_again(store, monkeypatch):
    first = store.put("stages", KEY, TENSORS, {})
    monkeypatch.setattr("trainables.storage.payload.write", None)
    assert store.put("stages", KEY, TENSORS, {}) == first


def test_what_was_written_anew_is_not_set_aside(store):
    """Another run mends a damaged entry after we have read it, and before we set it aside."""
    store.put("stages", KEY, TENSORS, {})
    store.files.write(META, b"damaged")
    other, real = StageStore(store.url), store.files.read

    def late(name):
        found = real(name)
        if found == b"damaged":
            assert other.get("stages", KEY) is None
            other.put("stages", KEY, TENSORS, {"mended": True})
        return found

    store.files.read = late
    assert store.get("stages", KEY) is None
    assert store.take_report().quarantined == ()
    assert store.get("stages", KEY).metadata == {"mended": True}


def test_two_writers_at_once_keep_one_result(store):
    """The second writer finds the first's metadata just when it would write its own."""
    real = store.files.create
    other = StageStore(store.url)

    def overtaken(name, payload):
        store.files.create = real
        other.put("stages", KEY, {"weight": torch.ones(1)}, {"writer": 1})
        return real(name, payload)

    store.files.create = overtaken
    entry = store.put("stages", KEY, TENSORS, {"writer": 2})
    assert entry.metadata == {"writer": 1}
    assert same(store.load(entry), {"weight": torch.ones(1)})
    assert content(store, data_of(store))  # one data file, so the loser took its own away


def test_drop(store):
    store.drop("stages", KEY)
    store.load(store.put("stages", KEY, TENSORS, {}))
    store.drop("stages", KEY)
    assert store.get("stages", KEY) is None
    assert all_names(store) == []
    store.drop("stages", KEY)
    store.put("stages", KEY, TENSORS, {})
    assert store.get("stages", KEY) is not None


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "missing"])
def test_damaged_data_is_set_aside_and_made_again(store, damage):
    entry = store.put("stages", KEY, TENSORS, {"run": 1})
    name = data_of(store)
    payload = content(store, name)
    match damage:
        case "flipped":
            store.files.write(name, payload[:-1] + bytes([payload[-1] ^ 1]))
        case "truncated":
            store.files.write(name, payload[:40])
        case "empty":
            store.files.write(name, b"")
        case "missing":
            store.files.remove(name)
    with pytest.raises(EntryLostError, match=r"set aside in .*quarantine.* trained again") as told:
        store.load(entry)
    assert (told.value.kind, told.value.key) == ("stages", KEY)
    assert str(copy.copy(told.value)) == str(told.value)
    (report,) = store.take_report().quarantined
    assert (report.kind, report.key) == ("stages", KEY)
    assert store.take_report().quarantined == ()
    folder = report.where.removeprefix(store.files.where("")).lstrip("/")
    reason = json.loads(store.files.read(f"{folder}/reason.json"))
    assert reason["reason"] == report.reason
    assert store.get("stages", KEY) is None
    assert store.put("stages", KEY, TENSORS, {"run": 2}).metadata == {"run": 2}
    assert same(store.load(store.get("stages", KEY)), TENSORS)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_lost_data_is_noticed_before_it_is_loaded(store, damage):
    store.put("stages", KEY, TENSORS, {})
    if damage == "missing":
        store.files.remove(data_of(store))
    else:
        store.files.write(data_of(store), b"short")
    assert store.get("stages", KEY) is None
    (report,) = store.take_report().quarantined
    assert f"the data is {'missing' if damage == 'missing' else '5 bytes'}" in report.reason


def meta_with(**changes):
    good = {
        "format": 2,
        "kind": "stages",
        "key": KEY,
        "size_bytes": 100,
        "sha256": "0" * 64,
        "metadata": {},
        "data": f"data-{'0' * 16}.safetensors",
    }
    return json.dumps({**good, **changes}).encode()


@pytest.mark.parametrize(
    "meta",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        meta_with(format="2"),
        meta_with(format=0),
        meta_with(kind="progress"),
        meta_with(key="cd" * 32),
        meta_with(size_bytes="100"),
        meta_with(size_bytes=True),
        meta_with(size_bytes=-1),
        meta_with(sha256="../../etc"),
        meta_with(metadata=[]),
        meta_with(data="../../../../etc/passwd"),
        meta_with(data="data-00.safetensors/../../x"),
        meta_with(data=7),
    ],
)
def test_foreign_metadata_is_set_aside(store, meta):
    store.put("stages", KEY, TENSORS, {})
    store.files.write(META, meta)
    assert store.get("stages", KEY) is None
    (report,) = store.take_report().quarantined
    assert report.reason.startswith("meta.json: ")
    store.put("stages", KEY, TENSORS, {})
    assert same(store.load(store.get("stages", KEY)), TENSORS)


def test_what_a_later_version_wrote_is_left_alone(store):
    store.put("stages", KEY, TENSORS, {})
    store.files.write(META, meta_with(format=3))
    for act in (store.get, store.drop):
        with pytest.raises(StoreError, match=r"format 3, this version of taskorder reads 2"):
            act("stages", KEY)
    store.put("stages", "cd" * 32, TENSORS, {})
    assert [e.key for e in store.entries()] == ["cd" * 32]
    store.evict(0)
    assert store.files.read(META) == meta_with(format=3)
    assert content(store, data_of(store))


def test_entries_of_the_first_format_are_read(store):
    entry = store.put("stages", KEY, TENSORS, {"steps": 3})
    old = f"data-{entry.sha256[:16]}.safetensors"
    store.files.move(data_of(store), f"{entry.folder}/{old}")
    meta = json.loads(store.files.read(META))
    first = {n: meta[n] for n in ("kind", "key", "size_bytes", "sha256", "metadata")}
    store.files.write(META, json.dumps({**first, "format": 1}).encode())
    found = store.get("stages", KEY)
    assert found.metadata == {"steps": 3}
    assert same(store.load(found), TENSORS)
    store.drop("stages", KEY)
    assert all_names(store) == []


def test_a_reader_is_told_that_an_entry_was_removed_or_written_anew(store):
    entry = store.put("stages", KEY, TENSORS, {})
    store.drop("stages", KEY)
    with pytest.raises(EntryLostError, match=r"the data is missing\. It is trained again"):
        store.load(entry)
    store.put("stages", KEY, {"weight": torch.ones(1)}, {})
    with pytest.raises(EntryLostError, match=r"it was written anew meanwhile\. It is trained"):
        store.load(entry)
    assert store.take_report().quarantined == ()
    assert store.get("stages", KEY) is not None


@pytest.mark.parametrize(
    "key",
    ["..", "../../etc", "a/b/c/d", "", "abc", "a\0bcd", "abcd\n", ".abcd", "ab" * 100, "äöüß"],
)
def test_no_key_leads_out_of_the_store(store, key):
    acts = [
        lambda: store.get("stages", key),
        lambda: store.put("stages", key, TENSORS, {}),
        lambda: store.drop("stages", key),
        lambda: store.tombstone("stages", key),
        lambda: store.leases.acquire("stages", key),
        lambda: store.lock(key).__enter__(),
    ]
    for act in acts:
        with pytest.raises(StoreError, match="is not a key of the stage store"):
            act()
    with pytest.raises(StoreError, match="is not a kind of entry"):
        store.get("../stages", KEY)


def test_a_url_that_cannot_be_opened_is_told():
    for url in ("nosuch://bucket/stages", "hf-unknown://x"):
        with pytest.raises(InputError, match=r"storage.stages: .*cannot be opened"):
            StageStore(url)


def test_tensors_of_a_dtype_that_is_not_kept_are_refused(store):
    with pytest.raises(ValueError, match=r"keeps no torch\.complex64"):
        store.put("stages", KEY, {"z": torch.zeros(1, dtype=torch.complex64)}, {})
    assert all_names(store) == []


# A shared folder.


def test_what_is_made_has_the_permissions_of_the_root(tmp_path):
    root = tmp_path / "shared"
    root.mkdir()
    root.chmod(0o2770)
    before = os.umask(0o077)
    try:
        store = StageStore(str(root))
        store.load(store.put("stages", KEY, TENSORS, {}))
        store.leases.acquire("stages", KEY)
        with store.lock(KEY):
            pass
    finally:
        os.umask(before)
    made = list(root.rglob("*"))
    assert len([path for path in made if path.is_file()]) >= 5
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o2770 if path.is_dir() else 0o660), path


def _as_user(number, act, results):
    """Do something as another user, of the group 2000, who shares nothing by default."""
    os.setgid(2000)
    os.setuid(number)
    os.umask(0o077)
    try:
        results.put(act())
    except StoreError as error:
        results.put(str(error))


@pytest.fixture
def as_user():
    """Return a function that lets a process of another user do something."""
    if os.geteuid() != 0:
        pytest.skip("acting as other users needs the superuser")
    context = multiprocessing.get_context("fork")

    def run(number, act):
        results = context.SimpleQueue()
        process = context.Process(target=_as_user, args=(number, act, results))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        return results.get()

    return run


@pytest.fixture
def shared():
    """A folder that the users of group 2000 share, as an administrator would make it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    stages = folder / "stages"
    stages.mkdir()
    os.chown(stages, 0, 2000)
    stages.chmod(0o2770)
    yield str(stages)
    shutil.rmtree(folder)


def test_users_of_one_group_share_a_store(as_user, shared):
    def put():
        store = StageStore(shared)
        store.put("stages", KEY, TENSORS, {"user": os.getuid()})
        lease = store.leases.acquire("stages", KEY)
        store.leases.release(lease)
        with store.lock(KEY):
            return lease.is_exclusive

    def use():
        store = StageStore(shared)
        entry = store.get("stages", KEY)
        assert same(store.load(entry), TENSORS)
        lease = store.leases.acquire("stages", KEY)
        store.leases.release(lease)
        with store.lock(KEY):
            store.files.write(entry.data_name, b"damaged")
        assert store.get("stages", KEY) is None
        store.put("stages", KEY, TENSORS, {"user": os.getuid()})
        assert [evicted.key for evicted in store.evict(0)] == [KEY]
        return entry.metadata["user"], lease.name[-11:]

    assert as_user(1001, put) is True
    assert as_user(1002, use) == (1001, "000002.json")


def test_a_folder_that_may_not_be_written_is_told_with_the_remedy(as_user, shared):
    entry = StageStore(shared).put("stages", KEY, TENSORS, {})
    for path in [Path(shared), *Path(shared).rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    told = as_user(1001, lambda: StageStore(shared).put("stages", "cd" * 32, TENSORS, {}))
    assert "Permission denied" in told
    assert "chmod g+rws" in told
    # Who may only read can still use what is there.
    assert as_user(1001, lambda: same(StageStore(shared).load(entry), TENSORS))


# A full disk.


def test_an_entry_that_does_not_fit_is_told_before_it_is_written(tmp_path, monkeypatch):
    store = StageStore(str(tmp_path))
    monkeypatch.setattr(
        "trainables.storage.errors.shutil.disk_usage",
        lambda _: type("Usage", (), {"free": 10})(),
    )
    message = r"no room for 32 bytes, 10 bytes are free .* resume"
    with pytest.raises(StoreFullError, match=message) as told:
        store.put("stages", KEY, TENSORS, {})
    assert str(tmp_path) in str(told.value)
    assert told.value.retryable
    assert str(copy.copy(told.value)) == str(told.value)
    monkeypatch.undo()
    store.put("stages", KEY, TENSORS, {})


def _put_under_a_limit(url, results):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    store = StageStore(url)
    try:
        store.put("stages", KEY, {"x": torch.zeros(10_000)}, {})
    except StoreFullError as error:
        results.put((error.needed_bytes, str(error), all_names(store)))
        store.put("stages", KEY, TENSORS, {})


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path):
    """A real limit of the operating system, met in the middle of the file."""
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=_put_under_a_limit, args=(str(tmp_path / "s"), results))
    process.start()
    needed, message, left = results.get()
    process.join(60)
    assert process.exitcode == 0
    assert needed == 40_000
    assert f"{tmp_path}/s/stages/ab/{KEY}" in message
    assert left == []
    assert StageStore(str(tmp_path / "s")).get("stages", KEY) is not None


@pytest.fixture
def small_disk(tmp_path):
    """A real filesystem of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small filesystem needs the superuser")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_told_and_used_again_when_there_is_room(small_disk):
    store = StageStore(str(small_disk / "stages"))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(200_000))
    big = {"x": torch.zeros(20_000)}
    with pytest.raises(StoreFullError, match="no room for 80,000 bytes") as told:
        store.put("stages", KEY, big, {})
    assert told.value.free_bytes < 70_000
    # It looked as if there was room, and another took it meanwhile.
    store.files.check_room = lambda *_: None
    with pytest.raises(StoreFullError, match=r"no room for 80,000 bytes"):
        store.put("stages", KEY, big, {})
    assert all_names(store) == []
    assert store.get("stages", KEY) is None
    filler.unlink()
    store.put("stages", KEY, big, {})
    assert same(store.load(store.get("stages", KEY)), big)


# The lock of the operating system.


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


def test_the_folder_of_an_entry_is_as_documented():
    assert folder_name("stages", KEY) == f"stages/ab/{KEY}"
