from __future__ import annotations

import json

import pytest

from tests.trainables.storage.stores import KEY, store_of, stranger
from trainables.storage.leases import Busy, Lease
from trainables.storage.owners import Owner


@pytest.fixture
def verdicts():
    """What each session is said to be; a test changes it."""
    return {}


@pytest.fixture
def pair(url, verdicts):
    """Two runs on machines that do not see each other, and one store."""
    owners = [stranger(run="one", host="a"), stranger(run="two", host="b")]
    return [store_of(url, owner, lambda o: verdicts.get(o.session)) for owner in owners]


def test_one_holds_and_the_other_is_told_who(pair):
    one, two = pair
    lease = one.leases.acquire("stages", KEY)
    assert isinstance(lease, Lease)
    assert lease.is_exclusive
    busy = two.leases.acquire("stages", KEY)
    assert isinstance(busy, Busy)
    assert busy.owner == one.me
    assert busy.is_alive is None
    assert f"run one, process {one.me.pid} on a" in str(busy)
    assert "not known whether it lives" in str(busy)
    assert isinstance(two.leases.acquire("progress", KEY), Lease)
    assert isinstance(one.leases.acquire("stages", KEY), Busy)  # not twice by one process either
    one.leases.release(lease)
    assert isinstance(two.leases.acquire("stages", KEY), Lease)


@pytest.mark.parametrize("verdict", [True, None, False])
def test_only_the_dead_lose_a_lease(pair, verdicts, verdict):
    one, two = pair
    lease = one.leases.acquire("stages", KEY)
    verdicts[one.me.session] = verdict
    taken = two.leases.acquire("stages", KEY)
    assert isinstance(taken, Lease if verdict is False else Busy)
    assert one.leases.holds(lease) == (verdict is not False)
    if verdict is False:
        # The slow first owner wakes up: what it does concerns its own lease alone.
        one.leases.release(lease)
        assert two.leases.holds(taken)
        assert isinstance(one.leases.acquire("stages", KEY), Busy)
        two.leases.release(taken)
        assert isinstance(one.leases.acquire("stages", KEY), Lease)


def test_one_of_two_takes_over_from_the_dead(url, verdicts):
    stores = [
        store_of(url, stranger(run=name), lambda o: verdicts.get(o.session)) for name in "abc"
    ]
    stores[0].leases.acquire("stages", KEY)
    verdicts[stores[0].me.session] = False
    real = stores[1].files.create

    def overtaken(name, payload, **how):
        stores[1].files.create = real
        assert isinstance(stores[2].leases.acquire("stages", KEY), Lease)
        return real(name, payload, **how)

    stores[1].files.create = overtaken
    busy = stores[1].leases.acquire("stages", KEY)
    assert isinstance(busy, Busy)
    assert busy.owner == stores[2].me


def test_a_listing_that_lags_behind_gives_no_lease_away(pair, verdicts):
    one, two = pair
    for _ in range(3):
        one.leases.release(one.leases.acquire("stages", KEY))
    held = one.leases.acquire("stages", KEY)
    assert held.name.endswith("000004.json")
    for seen in ([], ["000001.json"], ["000002.json", "000003.json"]):
        two.files.names = lambda _, seen=seen: seen
        assert isinstance(two.leases.acquire("stages", KEY), Busy)
    one.leases.release(held)
    two.files.names = lambda _: []
    assert two.leases.acquire("stages", KEY).name.endswith("000005.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps({"owner": {"pid": "1"}}).encode(),
        json.dumps({"owner": {**Owner.this_process().to_json(), "session": "../x"}}).encode(),
        json.dumps({"owner": Owner.this_process().to_json() | {"host": 3}}).encode(),
    ],
)
def test_a_lease_that_does_not_say_whose_it_is_is_nobody_s_to_take(pair, content):
    one, two = pair
    lease = one.leases.acquire("stages", KEY)
    one.files.write(lease.name, content)
    busy = two.leases.acquire("stages", KEY)
    assert isinstance(busy, Busy)
    assert busy.owner is None
    assert lease.name in str(busy)


def test_without_conditional_writes_a_lease_says_that_it_may_not_be_the_only_one(pair):
    one, two = pair
    for store in pair:
        store.files.is_exclusive = False
        store.files._is_tried = True
    if not one.url.startswith(("memory", "s3")):
        pytest.skip("folders without hard links are tested with the files")
    lease = one.leases.acquire("stages", KEY)
    assert isinstance(lease, Lease)
    assert not lease.is_exclusive
    assert isinstance(two.leases.acquire("stages", KEY), Busy)
