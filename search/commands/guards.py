"""What a command checks of its options before it does anything: folders and addresses."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from spaces.errors import InputError

#: Seconds that a cluster's head has to answer.
ANSWER_S = 5.0
CLIENT = "ray://"


def check_folder(option: str, folder: Path) -> None:
    """Check that a folder is there, or can be made, and may be written to.

    Args:
        option: The option that gives it, for messages.
        folder: The folder.

    Raises:
        InputError: A file is in its place or on the way to it, or it may not be written to.
    """
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as error:
        raise InputError(
            f"{option} {folder}: {error.strerror}. Give a folder that you may write to."
        ) from None
    if not there.is_dir():
        raise InputError(f"{option} {folder}: {there} is a file. Give another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{option} {folder}: {there} may not be written to. Give another folder.")


def check_address(address: str | None) -> None:
    """Check that an address can be one of a Ray cluster, and that somebody answers there.

    Ray itself would look for minutes. What ``auto`` finds, Ray alone knows.

    Args:
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``; ``None`` for none.

    Raises:
        InputError: It cannot be one, or nobody answers.
    """
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise InputError(
            f"--address {address}: is no address of a cluster. Write auto, HOST:6379 or "
            "ray://HOST:10001."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise InputError(
            f"--address {address}: nobody answers there ({error.strerror or error}). Start the "
            "cluster's head with `ray start --head`, and check host, port and firewall."
        ) from None
