"""Processes killed at every point between two durable operations: nothing is lost or doubled."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from pathlib import Path

import pytest

from tests.trainables.storage import crashes
from tests.trainables.storage.crashes import KEY, OTHER, THIRD
from tests.trainables.storage.stores import TENSORS, all_names, same
from trainables.storage.entries import Entry
from trainables.store import StageStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def processes(s3):
    """Where children come from: a process with all imports and no threads.

    It starts after the S3 server, whose address it takes from the environment.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.trainables.storage.crashes", "s3fs"])
    return context


@pytest.fixture
def url(request, tmp_path):
    """A folder, or an object store on a real server."""
    if request.param == "local":
        return str(tmp_path / "stages")
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


on_both = pytest.mark.parametrize("url", ["local", "s3"], indirect=True)


@pytest.fixture
def killed(processes, tmp_path):
    """Return a function that does something in processes killed at point 0, 1, ...

    It makes a store for each point, prepares it, and gives it to the test with what the process
    had noted, until one process has passed all points.
    """

    def each(url, act, prepare=None):
        for fatal in itertools.count():
            place, log = f"{url}/{fatal}", tmp_path / f"log-{fatal}"
            log.touch()
            if prepare is not None:
                prepare(StageStore(place))
            results = processes.SimpleQueue()
            process = processes.Process(
                target=crashes.run, args=(act, place, str(log), fatal, results)
            )
            process.start()
            process.join(120)
            yield place, log
            if process.exitcode == 0:
                assert results.get() == fatal
                break
            assert process.exitcode == -signal.SIGKILL

    return each


def again(processes, act, url, log):
    """Do something to its end in another process, another run on this machine."""
    results = processes.SimpleQueue()
    process = processes.Process(target=crashes.run, args=(act, url, str(log), -1, results))
    process.start()
    process.join(120)
    assert process.exitcode == 0


def words(log):
    return Path(log).read_text(encoding="utf-8").split()


def nothing_is_half_visible(store):
    """Every entry is there whole, or not at all; nothing had to be set aside."""
    for entry in store.entries():
        assert store.load(entry)
    assert store.take_report().quarantined == ()


def left_over(store, *entries: Entry):
    """Names of files that belong to no entry."""
    files = {name for e in entries for name in (e.data_name, f"{e.folder}/meta.json")}
    return [
        name
        for name in all_names(store)
        if name not in files and not name.endswith(("used.json",)) and "evicted/" not in name
    ]


@on_both
def test_training(url, killed, processes):
    seen = set()
    for place, log in killed(url, crashes.train):
        store = StageStore(place)
        nothing_is_half_visible(store)
        before, there = words(log), store.get("stages", KEY) is not None
        again(processes, crashes.train, place, log)
        nothing_is_half_visible(store)
        entry = store.get("stages", KEY)
        assert same(store.load(entry), TENSORS)
        # Trained again if and only if it had not been in the store when its process was killed.
        assert words(log).count("trained") == ("trained" in before) + (not there)
        assert there or "put" not in before
        seen.add((len(before), there))
        # The dead one's lease is taken over, what it protected is not, what it left is swept.
        assert len(left_over(store, entry)) <= 2  # its data, and metadata under another name
        store.evict(0)
        assert not any(found.name.endswith("/alive.json") for found in store.files.walk("runs"))
    assert {(0, False), (2, False), (2, True), (3, True)} <= seen


@on_both
def test_eviction(url, killed, processes):
    num_gone = set()
    for place, log in killed(url, crashes.evict, crashes.fill):
        store = StageStore(place)
        nothing_is_half_visible(store)
        there = {entry.key: entry for entry in store.entries()}
        assert OTHER in there
        assert set(store.evicted()) == {KEY, OTHER, THIRD} - set(there)
        num_gone.add(len(there))
        again(processes, crashes.evict, place, log)
        nothing_is_half_visible(store)
        (kept,) = store.entries()
        assert kept.key == OTHER
        assert store.load(kept)["x"].tolist() == [1] * 100
        assert {key: e.metadata["n"] for key, e in store.evicted().items()} == {KEY: 0, THIRD: 2}
        assert left_over(store, kept) == []
    assert num_gone == {1, 2, 3}


@on_both
def test_setting_aside(url, killed, processes):
    for place, log in killed(url, crashes.read, crashes.damage):
        store = StageStore(place)
        again(processes, crashes.read, place, log)
        entry = store.get("stages", KEY)
        assert same(store.load(entry), TENSORS)
        assert store.take_report().quarantined == ()
        # The damaged data is either in quarantine, or where it was and nobody's.
        assert "loaded" not in words(log)[:1]
        data = [name for name in all_names(store) if "/data-" in name]
        assert 2 <= len(data) <= 3


@on_both
def test_removal(url, killed, processes):
    for place, log in killed(url, crashes.drop, crashes.fill):
        store = StageStore(place)
        nothing_is_half_visible(store)
        assert {OTHER, THIRD} <= {entry.key for entry in store.entries()}
        again(processes, crashes.drop, place, log)
        assert store.get("stages", KEY) is None
        store.put("stages", KEY, TENSORS, {})
        nothing_is_half_visible(store)


@on_both
@pytest.mark.parametrize("num_killed", [0, 2])
def test_several_runs_train_each_stage_once(url, processes, tmp_path, num_killed):
    keys = [f"{i:02x}" * 32 for i in range(6)]
    log = tmp_path / "log"
    start = processes.Barrier(4)
    runs = [
        processes.Process(
            target=crashes.compete,
            args=(url, str(log), keys[i:] + keys[:i], start, i < num_killed),
        )
        for i in range(4)
    ]
    for process in runs:
        process.start()
    for process in runs:
        process.join(300)
    died = [-signal.SIGKILL] * num_killed
    assert [process.exitcode for process in runs] == died + [0] * (4 - num_killed)
    store = StageStore(url)
    lines = log.read_text(encoding="utf-8").splitlines()
    for key in keys:
        assert same(store.load(store.get("stages", key)), TENSORS)
        num_trained = lines.count(f"trained {key[:2]}")
        assert num_trained == 1 + lines.count(f"killed {key[:2]}")
