from __future__ import annotations

import itertools

import pytest
import torch

from tests.trainables.storage.test_needs import plan
from trainables.lineage import found_stage, is_spared, num_lost
from trainables.store import StageStore

KEYS = ("s000", "s001", "s002")


@pytest.fixture
def trial():
    """A trial of three stages."""
    made = plan(3)
    stages = [
        type(stage)(key, parent, stage.sequence, stage.mixture, stage.settings)
        for stage, key, parent in zip(made.stages, KEYS, ("base", *KEYS), strict=False)
    ]
    return type(made)(**{f: getattr(made, f) for f in made.__slots__} | {"stages": tuple(stages)})


def store_with(folder, *there, evicted=()):
    """A store that holds some stages, and once held others."""
    store = StageStore(str(folder))
    for key in (*there, *evicted):
        store.put("stages", key, {"x": torch.zeros(2)}, {"wall_s": 3.0, "run": "other"})
    if evicted:
        store.evict(0, {("stages", key) for key in there})
    return store


def test_what_is_lost_is_what_lies_behind_the_furthest_stage_that_is_there(trial, tmp_path):
    for number, there in enumerate(
        itertools.chain.from_iterable(itertools.combinations(KEYS, n) for n in range(4))
    ):
        store = store_with(tmp_path / str(number), *there)
        for done in range(4):
            usable = [i for i, key in enumerate(KEYS) if key in there and i <= done]
            furthest = max(usable, default=-1)
            assert num_lost(store, trial, done) == max(0, done - 1 - furthest), (there, done)


def test_a_stage_is_found_or_spared_or_has_to_be_trained(trial, tmp_path):
    store = store_with(tmp_path, "s001", evicted=["s000"])
    found = found_stage(store, trial, 1)
    assert (found.reused, found.run, found.wall_s, found.size_bytes) == (True, "other", 3.0, 72)
    spared = found_stage(store, trial, 0)
    assert (spared.reused, spared.fingerprint, spared.parent) == (True, "s000", "base")
    assert is_spared(store, trial, 0)
    assert found_stage(store, trial, 2) is None


def test_a_stage_that_never_was_is_trained_even_if_a_later_one_is_there(trial, tmp_path):
    # Nothing says what it cost, and it was no eviction of ours: so it is made, and is on record.
    store = store_with(tmp_path, "s001")
    assert found_stage(store, trial, 0) is None
    assert not is_spared(store, trial, 0)


def test_an_evicted_stage_with_nothing_built_on_it_is_trained(trial, tmp_path):
    store = store_with(tmp_path, evicted=["s000", "s001"])
    assert found_stage(store, trial, 0) is None
    assert num_lost(store, trial, 2) == 2
