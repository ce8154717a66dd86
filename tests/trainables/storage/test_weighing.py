from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from spaces.errors import StoreError
from trainables.storage.weighing import PAUSE, PERIOD_S, Scale, in_thread


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Aside:
    """Work that is done when its future is set."""

    def __init__(self):
        self.futures = []

    def __call__(self, work):
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def aside():
    return Aside()


@pytest.fixture
def scale(clock, aside):
    return Scale(lambda: 0, clock, aside)


def test_nothing_is_known_before_a_weighing_has_ended(scale, clock, aside):
    assert not scale.exceeds(10)
    clock.now = 1000.0
    assert not scale.exceeds(10)
    assert len(aside.futures) == 1
    aside.futures[0].set_result(11)
    assert scale.exceeds(10)
    assert scale.exceeds(10)
    assert len(aside.futures) == 1


def test_it_weighs_again_after_a_pause_as_long_as_a_weighing_was(scale, clock, aside):
    scale.exceeds(10)
    clock.now = took = 5.0
    aside.futures[0].set_result(10)
    assert not scale.exceeds(10)
    clock.now = took + PAUSE * took - 1
    assert not scale.exceeds(10)
    assert len(aside.futures) == 1
    clock.now += 1
    assert not scale.exceeds(10)
    assert len(aside.futures) == 2


def test_what_was_too_much_is_so_until_it_is_forgotten(scale, clock, aside):
    scale.exceeds(10)
    aside.futures[0].set_result(11)
    assert scale.exceeds(10)
    clock.now = 10 * PERIOD_S
    assert scale.exceeds(10)
    scale.forget()
    assert not scale.exceeds(10)
    assert len(aside.futures) == 2
    aside.futures[1].set_result(9)
    assert not scale.exceeds(10)


def test_a_storage_that_fails_is_told_to_who_asks(scale, aside):
    scale.wait()
    scale.exceeds(10)
    aside.futures[0].set_exception(StoreError("out of reach"))
    with pytest.raises(StoreError, match="out of reach"):
        scale.exceeds(10)


def test_a_thread_does_the_work_and_raises_what_it_raised():
    seen = []

    def work():
        seen.append(threading.current_thread())
        return 7

    assert in_thread(work).result(60) == 7
    assert seen[0] is not threading.current_thread()
    assert seen[0].daemon

    def fail():
        raise StoreError("full")

    with pytest.raises(StoreError, match="full"):
        in_thread(fail).result(60)
