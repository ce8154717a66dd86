"""What the tests of the stage store have in common."""

from __future__ import annotations

import dataclasses

import torch

from trainables.storage.entries import meta_name
from trainables.storage.owners import Owner
from trainables.store import StageStore

KEY = "ab" * 32
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(7)}


def same(left, right):
    """Whether two mappings hold equal tensors."""
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def data_of(store, kind="stages", key=KEY):
    """Name of the one data file in an entry's folder."""
    folder = meta_name(kind, key).rpartition("/")[0]
    (name,) = [name for name in store.files.names(folder) if name.startswith("data-")]
    return f"{folder}/{name}"


def content(store, name):
    """A file's content."""
    return bytes(store.files.read_data(name, 2**40))


def all_names(store):
    """Names of every file of a store."""
    tops = ("stages", "progress", "quarantine", "evicted")
    return sorted(found.name for top in tops for found in store.files.walk(top))


def stranger(**changes):
    """An owner on a machine of which nothing can be seen from here."""
    mine = Owner.this_process("another-run")
    elsewhere = {"host": "far", "machine": "far", "kernel": "other", "namespace": "pid:[1]"}
    return dataclasses.replace(mine, **{**elsewhere, **changes})


def store_of(url, owner, ask=None):
    """A store as another owner sees it."""
    store = StageStore(url, run=owner.run, ask=ask)
    store.me = store.leases.me = store.is_alive._me = owner
    return store
