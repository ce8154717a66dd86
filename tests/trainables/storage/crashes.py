"""Processes that are killed at a chosen point between two durable operations.

On a folder the points are before every operation that changes it: opening a file for writing,
fsync, link, rename, removal, making and removing folders, and in the middle of writing the data.
On an object store they are before every request that changes it, and after the last.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from tests.trainables.storage.stores import KEY, TENSORS
from trainables.membership import Membership
from trainables.storage import payload
from trainables.storage.errors import EntryLostError
from trainables.storage.presence import Presence
from trainables.store import StageStore

OTHER, THIRD = "cd" * 32, "ef" * 32
CHANGES = {"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
REQUESTS = ("pipe_file", "put_file", "rm_file", "cp_file")


class Points:
    """Counts the points that are passed, and ends the process at one.

    Args:
        fatal: Number of the point to die at; negative to pass them all.
    """

    def __init__(self, fatal):
        self.passed = 0
        self._fatal = fatal

    def __call__(self):
        if self.passed == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def watch_folder(self, root):
        """Count what changes a folder."""

        def hook(event, arguments):
            if event == "open":
                path, _, flags = arguments
                changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
                if changes and str(path).startswith(root):
                    self()
            elif event in CHANGES and str(arguments[0]).startswith(root):
                self()

        sys.addaudithook(hook)
        real_sync, real_write = os.fsync, payload.write

        def sync(descriptor):
            self()
            real_sync(descriptor)

        def write(tensors, path):
            done = real_write(tensors, path)
            whole = Path(path).read_bytes()
            os.truncate(path, len(whole) // 2)
            self()
            Path(path).write_bytes(whole)
            return done

        os.fsync, payload.write = sync, write

    def watch_requests(self, filesystem):
        """Count the requests that change an object store."""
        for name in REQUESTS:
            real = getattr(filesystem, name)

            def request(*arguments, real=real, **kind):
                self()
                return real(*arguments, **kind)

            setattr(filesystem, name, request)


def note(log, word):
    """Write a word down at once."""
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{word}\n")


def train(store, log):
    """What a run does with a stage: claim, train, put, release."""
    with Membership(store) as member:
        member.protect({("stages", KEY)})
        claim = member.claim(KEY)
        note(log, claim.state)
        if claim.state == "held":
            note(log, "trained")
            store.put("stages", KEY, TENSORS, {"steps": 1})
            note(log, "put")
            member.release(KEY)


def fill(store, *_):
    """Three stages, of which none is used."""
    for i, key in enumerate((KEY, OTHER, THIRD)):
        store.put("stages", key, {"x": torch.full((100,), i)}, {"wall_s": i + 1, "n": i})


def evict(store, *_):
    """Make room for one stage."""
    Presence(store.files, store.me).beat()
    store.evict(0, {("stages", OTHER)})


def damage(store, *_):
    """Put a stage and damage it."""
    store.put("stages", KEY, TENSORS, {})
    entry = store.get("stages", KEY)
    content = bytes(store.files.read_data(entry.data_name, entry.size_bytes))
    store.files.write(entry.data_name, content[:-1] + bytes([content[-1] ^ 1]))


def read(store, log):
    """Load a stage, or train it again."""
    entry = store.get("stages", KEY)
    try:
        if entry is not None:
            store.load(entry)
            note(log, "loaded")
            return
    except EntryLostError:
        note(log, "lost")
    store.put("stages", KEY, TENSORS, {})


def drop(store, *_):
    """Remove a stage."""
    store.drop("stages", KEY)


def run(act, url, log, fatal, results):
    """Do something, and die at a point of it.

    Args:
        act: Takes a store and the log's path.
        url: The store's URL.
        log: File for the words that the act notes.
        fatal: Number of the point.
        results: Pipe for the number of points, if all were passed.
    """
    store = StageStore(url, run=f"run-{os.getpid()}")
    points = Points(fatal)
    if url.startswith("s3"):
        points.watch_requests(store.files._fs)
    else:
        points.watch_folder(url)
    act(store, log)
    points()
    results.put(points.passed)
    os._exit(0)


def compete(url, log, keys, start, dies):
    """Train all of some stages as one of several runs; or die with the first one half done."""
    store = StageStore(url, run=f"run-{os.getpid()}")
    clock = iter(range(0, 10**9, 10))
    start.wait()
    with Membership(store, clock.__next__) as member:
        left = list(keys)
        while left:
            for key in tuple(left):
                claim = member.claim(key)
                if claim.state == "stored":
                    left.remove(key)
                if claim.state != "held":
                    continue
                note(log, f"trained {key[:2]}")
                if dies:
                    note(log, f"killed {key[:2]}")
                    os.kill(os.getpid(), signal.SIGKILL)
                store.put("stages", key, TENSORS, {})
                member.release(key)
