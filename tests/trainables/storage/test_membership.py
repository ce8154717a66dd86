from __future__ import annotations

import itertools

import pytest
import torch

from tests.trainables.storage.stores import KEY, TENSORS, all_names, store_of, stranger
from trainables.membership import MEASURE_PERIOD_S, RECHECK_S, Membership
from trainables.storage.presence import Presence
from trainables.store import StageStore

OTHER = "cd" * 32


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def verdicts():
    return {}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def members(url, verdicts, clock):
    """Two runs on machines that do not see each other, and one store."""
    owners = [stranger(run="one"), stranger(run="two")]
    stores = [store_of(url, owner, lambda o: verdicts.get(o.session)) for owner in owners]
    return [Membership(store, clock) for store in stores], stores


def states(claims):
    return [claim.state for claim in claims]


def test_a_stage_is_trained_by_one_run_and_found_by_the_other(members, clock):
    (one, two), (store, other) = members
    with one, two:
        assert states([one.claim(KEY), one.claim(KEY), two.claim(KEY)]) == ["held", "held", "busy"]
        assert two.busy()[KEY].owner == store.me
        store.put("stages", KEY, TENSORS, {})
        assert one.release(KEY)
        assert not one.release(KEY)
        assert two.claim(KEY).state == "busy"  # asked a moment ago
        assert not two.may_ask(KEY)
        clock.now += RECHECK_S
        assert two.may_ask(KEY)
        assert two.claim(KEY).state == "stored"
        assert two.busy() == {}
        other.drop("stages", KEY)
        assert two.claim(KEY).state == "held"


def test_a_stage_that_was_made_while_we_waited_for_the_lease_is_not_made_again(members):
    (one, _), (store, other) = members
    real = store.leases.acquire

    def late(kind, key):
        other.put("stages", KEY, TENSORS, {})
        return real(kind, key)

    store.leases.acquire = late
    with one:
        assert one.claim(KEY).state == "stored"
    assert not isinstance(other.leases.acquire("stages", KEY), str)


@pytest.mark.parametrize(("verdict", "state"), [(True, "busy"), (None, "busy"), (False, "held")])
def test_a_run_that_vanished_is_followed_only_if_it_is_known_dead(
    members, verdicts, verdict, state
):
    (one, two), (store, _) = members
    assert one.claim(KEY).state == "held"
    verdicts[store.me.session] = verdict
    assert two.claim(KEY).state == state


def test_leaving_gives_everything_back(members):
    (one, two), (store, _) = members
    with one:
        one.protect({("stages", KEY)})
        assert states([one.claim(KEY), one.claim(OTHER)]) == ["held", "held"]
    assert states([two.claim(KEY), two.claim(OTHER)]) == ["held", "held"]
    assert store.files.names("runs") == []


def test_a_run_evicts_what_neither_it_nor_another_needs(members):
    (one, two), (store, _) = members
    with one, two:
        for key in (KEY, OTHER, "ef" * 32):
            store.put("stages", key, TENSORS, {"wall_s": 1})
        one.protect({("stages", KEY), ("stages", "ef" * 32)})
        two.protect({("stages", OTHER)})
        gone = one.evict(0, {("stages", KEY)})
        assert [evicted.key for evicted in gone] == ["ef" * 32]
        assert gone[0].run == "one"
        store.put("progress", "abcd-2", TENSORS, {})
        two.protect({("stages", OTHER), ("progress", "abcd-2")})
        store.drop("progress", "abcd-2")
        assert store.get("progress", "abcd-2") is not None


def test_the_store_is_measured_now_and_then(members, clock):
    (one, _), (store, _) = members
    asked = []

    def needed():
        asked.append(clock.now)
        return {("stages", OTHER)}

    with one:
        for key in (KEY, OTHER):
            store.put("stages", key, TENSORS, {})
        assert [gone.key for gone in one.keep_within(0, needed)] == [KEY]
        store.put("stages", KEY, TENSORS, {})
        clock.now = MEASURE_PERIOD_S - 1
        assert one.keep_within(0, needed) == []
        clock.now += 1
        assert [gone.key for gone in one.keep_within(0, needed)] == [KEY]
    assert asked == [0, MEASURE_PERIOD_S]


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_protection_at_any_moment_of_an_eviction_keeps_what_is_then_found(kind, tmp_path):
    """Another run protects an entry, then looks for it, between each two steps of an eviction."""
    seen = []
    for moment in itertools.count():
        url = f"{tmp_path}/{moment}" if kind == "local" else f"memory://{tmp_path}/{moment}"
        store = store_of(url, stranger(run="evicting"))
        for key in (KEY, OTHER):
            store.put("stages", key, {"x": torch.zeros(10)}, {"wall_s": 1})
        other = store_of(url, stranger(run="other"))
        steps = Steps(store.files, moment, lambda other=other: look(other))
        store.files = steps
        store.leases._files = store._stocktaker._files = steps
        store.evict(0)
        if steps.answer is None:
            break
        found = steps.answer[0] is not None
        seen.append(found)
        entry = other.get("stages", KEY)
        assert entry is not None or not found
        if entry is not None:
            assert other.load(entry)["x"].tolist() == [0] * 10
            assert store.evicted().keys() == {OTHER}
        else:
            assert not any(f"{KEY}/" in name for name in all_names(other))
        assert other.get("stages", OTHER) is None
    assert len(seen) > 15
    assert {True, False} <= set(seen)


def look(store):
    """What a run does before it uses an entry."""
    presence = Presence(store.files, store.me)
    presence.beat()
    presence.pin({("stages", KEY)})
    return (store.get("stages", KEY),)


class Steps:
    """Files that do something else once, before the operation of a given number."""

    def __init__(self, files, moment, act):
        self._inner, self._left, self._act = files, moment, act
        self.answer = None

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def step(*arguments, **how):
            if self._left == 0:
                self.answer = self._act()
            self._left -= 1
            return found(*arguments, **how)

        return step


def test_the_documented_use(tmp_path):
    store = StageStore(str(tmp_path), run="run")
    with Membership(store) as member:
        member.protect({("stages", KEY)})
        if member.claim(KEY).state == "held":
            store.put("stages", KEY, TENSORS, {})
            member.release(KEY)
        assert member.evict(0, {("stages", KEY)}) == []
    assert store.get("stages", KEY) is not None
