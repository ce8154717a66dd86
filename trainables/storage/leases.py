"""Leases: who is training a stage now, across runs, processes and machines.

    leases/<kind>/<key[:2]>/<key>/000001.json    one file for each time it was held

A lease is never removed and never written over by another: who takes over creates the file with
the next number, which one alone succeeds in. So a slow process that looked long ago can take
nothing from one that took over meanwhile, and no listing has to be up to date. The lease in force
is the one with the highest number; its owner alone notes in it that it is released.

A lease saves work; correctness does not rest on it. Where the filesystem cannot let exactly one
writer succeed (``Files.is_exclusive``) two may train the same stage. Entries are found by what they
are, so one of the two results is kept and both are right.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass

from trainables.storage.entries import DamagedError, Kind, folder_name, read_object
from trainables.storage.files import Files
from trainables.storage.owners import Ask, Owner, Verdict

LEASES = "leases"
_NUMBER = re.compile(r"(\d{6})\.json")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to make an entry.

    Attributes:
        name: Its file.
        nonce: Tells it from any other.
        is_exclusive: Whether it is certain that nobody else has it too.
    """

    name: str
    nonce: str
    is_exclusive: bool


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else has the lease.

    Attributes:
        owner: Who; ``None`` if its file does not tell.
        is_alive: ``True``, or ``None`` if that is not known. The dead hold nothing.
        name: The lease's file.
    """

    owner: Owner | None
    is_alive: Verdict
    name: str

    def __str__(self) -> str:
        """Say who is waited for, and what to do if it is gone."""
        who = str(self.owner) if self.owner is not None else f"an unknown owner ({self.name})"
        if self.is_alive:
            return f"held by {who}"
        return f"held by {who}, of which it is not known whether it lives"


class Leases:
    """Takes and gives back leases for one process.

    Args:
        files: The store's files.
        me: This process.
        is_alive: Verdict on other owners; a lease is taken over only where it is ``False``.
    """

    def __init__(self, files: Files, me: Owner, is_alive: Ask) -> None:
        self._files = files
        self.me = me
        self.is_alive = is_alive

    def acquire(self, kind: Kind, key: str) -> Lease | Busy:
        """Take a lease, or say who has it. Does not wait.

        The caller looks for the entry again once it holds the lease: it may have been made
        between its first look and now.
        """
        return self.acquire_named(folder_name(kind, key))

    def acquire_named(self, name: str) -> Lease | Busy:
        """Take the lease of a folder of the store."""
        folder = f"{LEASES}/{name}"
        number = self._latest(folder)
        while True:
            if number:
                busy = self._in_force(f"{folder}/{number:06}.json")
                if busy is not None:
                    return busy
            number += 1
            lease = self._create(f"{folder}/{number:06}.json")
            if lease is not None:
                return lease
            # Another was first, or the listing was not up to date: look at what is there.

    def release(self, lease: Lease) -> None:
        """Give a lease back. If it was taken over meanwhile, nothing happens to the new one."""
        self._files.write(lease.name, self._content(lease.nonce, released=True), durable=False)

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is still in force, rather than taken over from us as from the dead."""
        folder, _, last = lease.name.rpartition("/")
        return self._files.size(f"{folder}/{int(last[:6]) + 1:06}.json") is None

    def _latest(self, folder: str) -> int:
        found = (_NUMBER.fullmatch(name) for name in self._files.names(folder))
        return max((int(match[1]) for match in found if match), default=0)

    def _in_force(self, name: str) -> Busy | None:
        """Return who holds a lease; ``None`` if it is free to be followed by another."""
        try:
            content = read_object(self._files.read(name))
        except (FileNotFoundError, DamagedError):
            return Busy(None, None, self._files.where(name))
        if content.get("released") is True:
            return None
        owner = Owner.from_json(content.get("owner"))
        if owner is None:
            return Busy(None, None, self._files.where(name))
        verdict = self.is_alive(owner)
        return None if verdict is False else Busy(owner, verdict, self._files.where(name))

    def _create(self, name: str) -> Lease | None:
        nonce = uuid.uuid4().hex
        content = self._content(nonce, released=False)
        if not self._files.create(name, content, durable=False):
            return None
        return Lease(name, nonce, self._files.is_exclusive)

    def _content(self, nonce: str, *, released: bool) -> bytes:
        content = {"owner": self.me.to_json(), "nonce": nonce, "released": released}
        return json.dumps(content, indent=1).encode()
