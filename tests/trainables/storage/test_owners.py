from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal

import pytest

from trainables.storage import owners
from trainables.storage.owners import Owner, has_restarted, process_start, process_verdict


def _own(results, go_on):
    results.put(Owner.this_process("run", {"ray_node": "n1"}).to_json())
    go_on.wait()


@pytest.fixture
def other():
    """A live process and the owner it says it is."""
    context = multiprocessing.get_context("fork")
    results, go_on = context.SimpleQueue(), context.Event()
    process = context.Process(target=_own, args=(results, go_on))
    process.start()
    yield process, Owner.from_json(results.get())
    process.kill()
    process.join()


def test_an_owner_survives_json_and_names_itself():
    me = Owner.this_process("run-1", {"ray_node": "abc"})
    assert Owner.from_json(me.to_json()) == me
    assert str(me) == (
        f"run run-1, process {os.getpid()} on {me.host} since {me.since}, ray_node abc"
    )
    assert Owner.this_process().session != me.session


def test_a_process_of_this_machine_is_seen(other):
    process, owner = other
    assert process_verdict(owner) is True
    assert process_verdict(Owner.this_process()) is True
    os.kill(process.pid, signal.SIGSTOP)
    assert process_verdict(owner) is True  # suspended is not dead
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_verdict(owner) is False  # a zombie still, and holds nothing
    process.join()
    assert process_verdict(owner) is False


def test_a_number_that_another_process_has_now_is_not_the_owner(other):
    _, owner = other
    assert process_verdict(dataclasses.replace(owner, started="1")) is False


def test_what_cannot_be_seen_is_not_known(other, monkeypatch):
    _, owner = other
    for change in ({"kernel": "other"}, {"namespace": "pid:[1]"}, {"started": ""}):
        assert process_verdict(dataclasses.replace(owner, **change)) is None
    # A process that /proc hides from other users, and that signals show to be there.
    monkeypatch.setattr(owners, "process_start", lambda _: None)
    monkeypatch.setattr(owners.os, "kill", _refuse)
    assert process_verdict(owner) is None


def _refuse(*_):
    raise PermissionError


def test_a_restart_of_this_machine_is_noticed():
    me = Owner.this_process()
    assert not has_restarted(me)
    assert has_restarted(dataclasses.replace(me, kernel="before"))
    assert not has_restarted(dataclasses.replace(me, kernel="before", machine="another"))
    assert not has_restarted(dataclasses.replace(me, kernel="before", host="another"))
    assert not has_restarted(dataclasses.replace(me, kernel=""))


def test_the_start_of_a_process_is_fixed():
    assert process_start(os.getpid()) == process_start(os.getpid())
    assert process_start(2**22 + 1) is None
