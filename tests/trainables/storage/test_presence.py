from __future__ import annotations

import dataclasses
import threading

import pytest

from spaces.errors import StoreError
from tests.trainables.storage.stores import KEY, stranger
from trainables.storage import presence
from trainables.storage.owners import Owner
from trainables.storage.presence import (
    PATIENCE_S,
    Liveness,
    Presence,
    declare_dead,
    forget_dead,
    pinned_by_others,
)
from trainables.store import open_files

OTHER = "cd" * 32


@pytest.fixture
def files(url):
    return open_files(url)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def liveness(files, clock):
    return Liveness(files, Owner.this_process("me"), clock=clock)


def test_a_heartbeat_shows_life_and_its_end_shows_nothing(files, clock, liveness):
    other = Presence(files, stranger())
    assert liveness(other.me) is None
    other.beat()
    assert liveness(other.me) is None  # one beat may be an old one
    other.beat()
    assert liveness(other.me) is True
    clock.now += PATIENCE_S - 1
    assert liveness(other.me) is True
    clock.now += 1
    assert liveness(other.me) is None
    clock.now += 1e9
    assert liveness(other.me) is None  # however long: a machine may be suspended
    other.beat()
    assert liveness(other.me) is True


def test_a_machine_that_started_anew_and_a_heart_that_stopped_are_dead(files, clock, liveness):
    mine = Owner.this_process("other")
    before = dataclasses.replace(mine, kernel="before", session="0" * 32)
    Presence(files, before).beat()
    assert liveness(before) is None
    clock.now += PATIENCE_S - 1
    assert liveness(before) is None
    clock.now += 1
    assert liveness(before) is False


def test_a_clone_of_this_machine_that_beats_is_alive(files, clock, liveness):
    clone = Presence(files, dataclasses.replace(Owner.this_process("other"), kernel="its own"))
    for _ in range(5):
        clone.beat()
        clock.now += PATIENCE_S / 2
        verdict = liveness(clone.me)
    assert verdict is True


def test_an_end_is_written_down_for_all(files, liveness):
    with Presence(files, stranger()) as other:
        other.pin({("stages", KEY)})
        assert liveness(other.me) is not False
        assert pinned_by_others(files, Owner.this_process(), liveness) == {
            ("stages", KEY): other.me
        }
    assert liveness(other.me) is False
    assert pinned_by_others(files, Owner.this_process(), liveness) == {}
    assert files.names("runs") == []


def test_who_knows_of_a_death_tells_the_others(files, liveness):
    gone = dataclasses.replace(Owner.this_process("gone"), started="1", session="1" * 32)
    Presence(files, gone).beat()
    far = Liveness(files, stranger(run="far"))
    assert liveness(gone) is False
    hidden = dataclasses.replace(gone, kernel="unseen from there")
    assert far(hidden) is None
    forget_dead(files, Owner.this_process("me"), liveness)
    assert far(hidden) is False
    assert files.names("runs") == []


def test_a_run_is_declared_dead_by_name(files, liveness):
    sessions = [Presence(files, stranger(run="lost", session=str(i) * 32)) for i in (1, 2)]
    spared = Presence(files, stranger(run="spared", session="3" * 32))
    for one in (*sessions, spared):
        one.beat()
        one.pin({("stages", KEY)})
    assert {owner.session for owner in declare_dead(files, "lost")} == {"1" * 32, "2" * 32}
    assert [liveness(one.me) for one in (*sessions, spared)] == [False, False, None]
    assert pinned_by_others(files, Owner.this_process(), liveness)["stages", KEY] == spared.me


def test_an_earlier_session_of_the_same_run_is_dead(files):
    me = Owner.this_process("run")
    liveness = Liveness(files, me)
    assert liveness(me) is True
    assert liveness(stranger(run="run")) is False
    assert liveness(stranger(run="")) is None
    assert Liveness(files, Owner.this_process(""))(stranger(run="")) is None


@pytest.mark.parametrize("told", [True, False, None])
def test_the_cluster_is_asked_about_what_cannot_be_seen(files, told):
    asked = []

    def ask(owner):
        asked.append(owner)
        return told

    liveness = Liveness(files, Owner.this_process("me"), ask)
    assert liveness(stranger()) is told
    assert len(asked) == 1
    assert liveness(Owner.this_process("other")) is True  # seen, so not asked
    assert len(asked) == 1


def test_pins_are_let_go_of_lazily_and_exactly(files):
    me, seen_by = Presence(files, stranger()), Owner.this_process("me")
    alive = lambda _: None  # noqa: E731
    me.beat()

    def pinned():
        return set(pinned_by_others(files, seen_by, alive))

    me.pin({("stages", KEY), ("progress", KEY)})
    assert pinned() == {("stages", KEY), ("progress", KEY)}
    me.pin({("stages", KEY)})
    assert pinned() == {("stages", KEY), ("progress", KEY)}
    me.pin({("stages", KEY), ("stages", OTHER)})
    assert pinned() == {("stages", KEY), ("stages", OTHER)}
    me.pin_exactly({("stages", OTHER)})
    assert pinned() == {("stages", OTHER)}
    me.pin({("stages", f"{i:04}") for i in range(40)})
    me.pin(set())
    assert pinned() == set()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"stages": [1], "progress": []}', b"[]"])
def test_unreadable_pins_stop_eviction(files, content):
    other = Presence(files, stranger())
    other.beat()
    files.write(f"runs/{other.me.session}/pins.json", content)
    with pytest.raises(StoreError, match=r"is damaged .* run another-run.*Remove the file"):
        pinned_by_others(files, Owner.this_process("me"), lambda _: None)


def test_strange_folders_among_the_runs_are_passed_over(files):
    files.write("runs/x/alive.json", b"{}")
    files.write("runs/y/alive.json", b"not json")
    files.write("runs/z/other", b"")
    other = Presence(files, stranger())
    other.beat()
    files.write("runs/w/alive.json", files.read(f"runs/{other.me.session}/alive.json"))
    assert [owner.session for owner in presence._sessions(files)] == [other.me.session]


def test_the_heart_beats_until_the_session_ends(files, monkeypatch):
    monkeypatch.setattr(presence, "BEAT_S", 0.001)
    beaten = threading.Event()
    other = Presence(files, stranger())
    real = other.beat

    def beat():
        real()
        if other._beat > 3:
            beaten.set()
        if other._beat == 2:
            raise StoreError("out of reach for a while")

    other.beat = beat
    with other:
        assert beaten.wait(20)
    assert not other._thread.is_alive()
