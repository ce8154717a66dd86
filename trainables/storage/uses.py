"""How often entries are used, and the clock that eviction runs by: hints, in small files.

clock.json                              the clock
stages/<key[:2]>/<key>/used.json        how often an entry was loaded, and the clock then
"""

from __future__ import annotations

import json

from trainables.storage.entries import USED, DamagedError, Entry, number, read_object
from trainables.storage.eviction import Candidate
from trainables.storage.files import Files

CLOCK = "clock.json"


def read_clock(files: Files) -> float:
    """Return the store's eviction clock."""
    payload = files.read_many([CLOCK]).get(CLOCK, b"{}")
    try:
        return number(read_object(payload).get("clock"))
    except DamagedError:
        return 0.0


def note_use(files: Files, entry: Entry) -> None:
    """Count a use of an entry. Two at the same moment may be counted as one."""
    name = f"{entry.folder}/{USED}"
    uses = _uses(files.read_many([name]).get(name))
    content = {"uses": (uses[0] if uses else 1.0) + 1, "clock": read_clock(files)}
    files.write(name, json.dumps(content).encode(), durable=False)


def candidate_of(entry: Entry, used: bytes | None) -> Candidate:
    """Return an entry with its uses, of which a file may tell."""
    uses = _uses(used)
    return Candidate(entry, *uses) if uses else Candidate(entry, 1.0, entry.clock)


def _uses(payload: bytes | None) -> tuple[float, float] | None:
    """Return how often an entry was used and the clock then; ``None`` if that is not noted."""
    if payload is None:
        return None
    try:
        content = read_object(payload)
    except DamagedError:
        return None
    return max(1.0, number(content.get("uses"))), number(content.get("clock"))
