"""Where workers meet."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.meeting import is_loopback, leaves_the_node, meeting_file, meeting_port


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_known(address):
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "fe80::1", "node-7", "0.0.0.0"])
def test_other_addresses_are_not_loopback(address):
    assert not is_loopback(address)


def test_meeting_points_are_urls():
    assert meeting_file(Path("/some where")) == "file:///some where/workers"
    assert not leaves_the_node(meeting_file(Path("/some")))
    assert not leaves_the_node("")
    port = meeting_port("node-7")
    assert leaves_the_node(port)
    host, _, number = port.rpartition(":")
    assert (host, int(number) > 1023) == ("tcp://node-7", True)
