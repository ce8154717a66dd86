"""What trainables tell the search: plain data, JSON-able."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StageReport:
    """A stage a trial has, trained by it or found in the store.

    Attributes:
        fingerprint: Identity of its checkpoint.
        parent: Identity of the checkpoint it was trained from.
        sequence: Text form of the prefix that ends with it.
        steps: Its optimizer steps.
        wall_s: Seconds its training took, whenever that was.
        size_bytes: Size of the checkpoint.
        reused: Whether it was found in the store.
        run: Identity of the run that trained it, as the store notes it.
    """

    fingerprint: str
    parent: str
    sequence: str
    steps: int
    wall_s: float
    size_bytes: int
    reused: bool
    run: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able data."""
        return asdict(self)
