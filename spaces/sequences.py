"""Sequences of stages, their prefixes, and the space of ordered subsets.

A ``Stage`` is one step of intermediate training: one task, or a mixture of several. A
``Sequence`` is an ordered tuple of stages without a task repeated; the empty sequence is the
baseline. Every prefix of a sequence is itself a sequence, so the space is a trie.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spaces.errors import InputError

STAGE_SEPARATOR = ">"
TASK_SEPARATOR = "+"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of intermediate training.

    Attributes:
        tasks: Names of its tasks, sorted; several are trained as a mixture (multi-task).
    """

    tasks: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("a stage needs at least one task")
        if len(set(self.tasks)) != len(self.tasks):
            raise InputError(f"stage {self}: a task may occur once in a mixture")
        object.__setattr__(self, "tasks", tuple(sorted(self.tasks)))

    def __str__(self) -> str:
        return TASK_SEPARATOR.join(self.tasks)


@dataclass(frozen=True, slots=True)
class Sequence:
    """An ordered tuple of stages in which no task occurs twice.

    >>> s = Sequence.parse("mnli>squad1")
    >>> [str(prefix) for prefix in s.prefixes()]
    ['mnli', 'mnli>squad1']
    >>> len(Sequence.parse(""))
    0
    """

    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        tasks = [task for stage in self.stages for task in stage.tasks]
        repeated = sorted({task for task in tasks if tasks.count(task) > 1})
        if repeated:
            raise InputError(f"sequence {self}: {', '.join(repeated)} occurs more than once")

    def __str__(self) -> str:
        return STAGE_SEPARATOR.join(str(stage) for stage in self.stages)

    def __len__(self) -> int:
        return len(self.stages)

    @classmethod
    def of(cls, *tasks: str) -> Sequence:
        """Make a sequence of single-task stages."""
        return cls(tuple(Stage((task,)) for task in tasks))

    @classmethod
    def parse(cls, text: str) -> Sequence:
        """Read the text form: stages joined by ``>``, tasks of a mixture joined by ``+``."""
        if not text:
            return cls()
        return cls(
            tuple(Stage(tuple(part.split(TASK_SEPARATOR))) for part in text.split(STAGE_SEPARATOR))
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names in order."""
        return tuple(str(stage) for stage in self.stages)

    def prefixes(self) -> Iterator[Sequence]:
        """Yield the prefixes of length 1 up to the whole sequence."""
        for length in range(1, len(self.stages) + 1):
            yield Sequence(self.stages[:length])

    def parent(self) -> Sequence:
        """Return the sequence without its last stage.

        Raises:
            InputError: The sequence is empty.
        """
        if not self.stages:
            raise InputError("the empty sequence has no parent")
        return Sequence(self.stages[:-1])


@dataclass(frozen=True, slots=True)
class SequenceSpace:
    """All ordered subsets of ``tasks`` of length 0 to ``max_length``.

    Attributes:
        tasks: The intermediate tasks, without repeats.
        max_length: Longest sequence in stages; at most ``len(tasks)``.

    >>> SequenceSpace(("a", "b", "c"), 2).size
    10
    >>> SequenceSpace(tuple("abcdefghi"), 9).size
    986410
    """

    tasks: tuple[str, ...]
    max_length: int

    def __post_init__(self) -> None:
        if len(set(self.tasks)) != len(self.tasks):
            twice = next(name for name in self.tasks if self.tasks.count(name) > 1)
            raise InputError(f"intermediate.tasks: {twice!r} is listed twice. Take one out.")
        if not 0 <= self.max_length <= len(self.tasks):
            raise InputError(
                f"intermediate.max_length: {self.max_length} is not between 0 and the number of "
                f"tasks, {len(self.tasks)}. Lower it, or list more intermediate.tasks."
            )

    @property
    def size(self) -> int:
        """Number of sequences, the empty one included."""
        return sum(math.perm(len(self.tasks), k) for k in range(self.max_length + 1))

    def enumerate(self) -> Iterator[Sequence]:
        """Yield every sequence: by length, then in the order of ``tasks``."""
        for length in range(self.max_length + 1):
            for tasks in itertools.permutations(self.tasks, length):
                yield Sequence.of(*tasks)

    def __getitem__(self, index: int) -> Sequence:
        """Return the sequence at a position of ``enumerate``, without going through the others.

        Raises:
            IndexError: The index is not in 0 to ``size - 1``.

        >>> str(SequenceSpace(("a", "b", "c"), 2)[5])
        'a>c'
        """
        if not 0 <= index < self.size:
            raise IndexError(f"sequence {index} of a space of {self.size}")
        length = 0
        while index >= (count := math.perm(len(self.tasks), length)):
            index -= count
            length += 1
        left, chosen = list(self.tasks), []
        for position in range(length):
            block = math.perm(len(left) - 1, length - position - 1)
            chosen.append(left.pop(index // block))
            index %= block
        return Sequence.of(*chosen)

    def __contains__(self, sequence: object) -> bool:
        return (
            isinstance(sequence, Sequence)
            and len(sequence) <= self.max_length
            and all(len(s.tasks) == 1 and s.tasks[0] in self.tasks for s in sequence.stages)
        )

    def extensions(self, sequence: Sequence) -> Iterator[Sequence]:
        """Yield the sequences one stage longer that have ``sequence`` as prefix."""
        if len(sequence) < self.max_length:
            for task in self.tasks:
                if task not in sequence.names:
                    yield Sequence((*sequence.stages, Stage((task,))))


def count_stages(sequences: Iterable[Sequence]) -> tuple[int, int]:
    """Count the stages that training ``sequences`` takes.

    Returns:
        Stages when every sequence is trained from the base model, and stages when each prefix is
        trained once and shared.

    >>> count_stages([Sequence.of("a"), Sequence.of("a", "b"), Sequence.of("a", "c")])
    (5, 3)
    """
    unshared = 0
    shared: set[Sequence] = set()
    for sequence in sequences:
        unshared += len(sequence)
        shared.update(sequence.prefixes())
    return unshared, len(shared)
