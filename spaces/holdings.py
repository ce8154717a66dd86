"""What a data root holds of the catalogue, as plain data: trainables look, the search shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spaces.tasks import Split, Task


@dataclass(frozen=True, slots=True)
class Holding:
    """What there is of one split of a task in one language.

    Attributes:
        where: ``files``, ``hub`` or ``generated``, or several of them joined by commas for a task
            made of parts; empty where there is nothing.
        num_examples: How many; ``None`` where there is nothing, where they would first have to come
            from the network, or where they cannot be read.
        error: Why they cannot be read.
    """

    where: str = ""
    num_examples: int | None = None
    error: str = ""


class Shelf(Protocol):
    """A data root, as far as the catalogue is concerned."""

    def has(self, task: Task, split: Split, language: str) -> bool:
        """Whether a split in a language is at hand; quick, nothing is read."""
        ...

    def hold(self, task: Task, split: Split, language: str) -> Holding:
        """Count a split in a language; reads it. What cannot be read is told in the result."""
        ...
