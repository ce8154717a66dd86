"""Where the workers of a trial meet to form their process group, and by which network.

A meeting point is a URL as torch takes it: ``file:///folder/name``, a file that is not there yet,
for workers on one node; ``tcp://host:port`` for others. A port of torch's is open on every
interface and asks nobody who they are, so it is opened only where there is no other way.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path


def is_loopback(address: str) -> bool:
    """Whether a node is known by an address that no other node reaches."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def meeting_file(folder: Path) -> str:
    """Return a meeting point in a folder of the workers' node."""
    # Not quoted: torch takes the path as it stands.
    return f"file://{folder.absolute() / 'workers'}"


def meeting_port(address: str) -> str:
    """Return a meeting point at a port of this node that is free now.

    Args:
        address: The node's, as the other workers reach it.
    """
    with socket.socket() as probe:
        probe.bind(("", 0))
        return f"tcp://{address}:{probe.getsockname()[1]}"


def leaves_the_node(meeting: str) -> bool:
    """Whether those who meet there may be on several nodes."""
    return meeting.startswith("tcp:")


def stay_on_the_node() -> None:
    """Let gloo listen on the loopback interface alone, unless the user has named another."""
    names = {name for _, name in socket.if_nameindex()}
    for loopback in ("lo", "lo0"):
        if loopback in names:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
