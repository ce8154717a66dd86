"""Seeded chance that is the same on every machine, process and Python version."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of random choices named by its key.

    Only ``random.Random.random`` is used below: it is the one method whose values Python promises
    never to change for a seed.

    Args:
        key: What the stream is for; the same parts give the same stream.

    Examples:
        >>> Chance("a", 1).pick("xyz") == Chance("a", 1).pick("xyz")
        True
    """

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.sha256("\x1f".join(str(part) for part in key).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))

    def below(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random.random() < probability

    def number(self, count: int) -> int:
        """Return a whole number from 0 to ``count - 1``."""
        return int(self._random.random() * count)

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.number(len(items))]

    def other(self, items: Sequence[T], *taken: T) -> T:
        """Return one of the items that is none of ``taken``."""
        return self.pick([item for item in items if item not in taken])

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order (Fisher and Yates)."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            chosen = self.number(last + 1)
            mixed[last], mixed[chosen] = mixed[chosen], mixed[last]
        return mixed
