"""What a stage trains on: streams of examples, and how often each of them has its turn.

A stage of a sequence is a name. What the name stands for is a ``Mixture``: one stream for a plain
task, several for multi-task training, each in given languages and cut to a size, and possibly
masked-language-model streams mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from spaces.errors import InputError


@dataclass(frozen=True, slots=True)
class Stream:
    """The training examples of one task that a stage draws from.

    Attributes:
        task: Name of the task.
        languages: The languages of the training sets, which are put together; the task's training
            language when empty.
        max_examples: Use the first so many examples of each language; all when ``None``.

    >>> str(Stream("tydiqa", ("ar", "fi"), 1000))
    'tydiqa@ar,fi#1000'
    """

    task: str
    languages: tuple[str, ...] = ()
    max_examples: int | None = None

    def __str__(self) -> str:
        languages = "@" + ",".join(self.languages) if self.languages else ""
        size = f"#{self.max_examples}" if self.max_examples is not None else ""
        return f"{self.task}{languages}{size}"

    def merged(self, other: Stream, own_language: str) -> Stream:
        """Return the stream that holds both streams' examples of the same task."""
        languages = tuple(
            dict.fromkeys(
                (self.languages or (own_language,)) + (other.languages or (own_language,))
            )
        )
        limits = (self.max_examples, other.max_examples)
        return Stream(
            self.task,
            () if languages == (own_language,) else languages,
            None if None in limits else max(limit for limit in limits if limit is not None),
        )


@dataclass(frozen=True, slots=True)
class Mixture:
    """The streams of a stage and the rates at which they are drawn from.

    A stream's rate is ``min(size, cap) ** (1 / temperature)``, relative to the others': a
    temperature of 1 draws in proportion to size, a high one evenly. Masked-language-model streams
    share a fixed part of the steps instead.

    Attributes:
        streams: The tasks' streams, by task name; a task occurs once.
        temperature: Of the rates; at least 1, ``None`` for equal rates.
        cap: A stream counts as at most so many examples; its real size when ``None``.
        mlm: Masked-language-model streams mixed in, by task name.
        mlm_share: Their part of the steps; 0 without any.

    Source: Raffel et al. 2020, arXiv:1910.10683, section 3.5.2; Phang et al. 2020,
    arXiv:2005.13013, for the masked-language-model term.
    """

    streams: tuple[Stream, ...]
    temperature: float | None = 1.0
    cap: int | None = None
    mlm: tuple[Stream, ...] = ()
    mlm_share: float = 0.0

    def __post_init__(self) -> None:
        names = [stream.task for stream in (*self.streams, *self.mlm)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError(f"a stage draws twice from {', '.join(repeated)}. Name a task once.")
        object.__setattr__(self, "streams", tuple(sorted(self.streams, key=lambda s: s.task)))
        object.__setattr__(self, "mlm", tuple(sorted(self.mlm, key=lambda s: s.task)))

    @classmethod
    def of(cls, *tasks: str) -> Mixture:
        """Make a mixture of whole tasks in their own training languages."""
        return cls(tuple(Stream(task) for task in tasks))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Mixture:
        """Rebuild a mixture from ``asdict``'s data."""
        streams = {
            key: tuple(
                Stream(entry["task"], tuple(entry["languages"]), entry["max_examples"])
                for entry in data[key]
            )
            for key in ("streams", "mlm")
        }
        return cls(**{**data, **streams})

    @property
    def all_streams(self) -> tuple[Stream, ...]:
        """Every stream: the tasks' first, then the masked-language-model ones."""
        return (*self.streams, *self.mlm)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of ``all_streams``."""
        return tuple(stream.task for stream in self.all_streams)

    def shares(self, sizes: Sequence[int]) -> tuple[float, ...]:
        """Return each stream's share of the steps; they sum to 1.

        Args:
            sizes: Examples of each stream, in the order of ``all_streams``; at least 1.

        >>> Mixture.of("a", "b").shares((300, 100))
        (0.75, 0.25)
        >>> Mixture((Stream("a"),), mlm=(Stream("text"),), mlm_share=0.2).shares((300, 9000))
        (0.8, 0.2)
        """
        count = len(self.streams)
        tasks = self._rates(sizes[:count])
        mlm = [share * self.mlm_share for share in self._rates(sizes[count:])]
        rest = 1.0 - (self.mlm_share if self.mlm else 0.0)
        return (*(share * rest for share in tasks), *mlm)

    def counted(self, size: int) -> int:
        """Return the number of examples that an epoch over a stream of ``size`` takes."""
        return size if self.cap is None else min(size, self.cap)

    def _rates(self, sizes: Sequence[int]) -> list[float]:
        power = 0.0 if self.temperature is None else 1.0 / self.temperature
        rates = [float(self.counted(size)) ** power for size in sizes]
        return [rate / sum(rates) for rate in rates]


def together(mixtures: Iterable[Mixture], own_languages: dict[str, str]) -> Mixture:
    """Return the mixture that draws from everything the given ones draw from, by size.

    A task that several of them hold is drawn from once, in all their languages.

    Args:
        mixtures: Mixtures of a study's stages.
        own_languages: Training language by task.
    """
    streams: dict[str, Stream] = {}
    for mixture in mixtures:
        for stream in mixture.all_streams:
            known = streams.get(stream.task)
            streams[stream.task] = (
                known.merged(stream, own_languages[stream.task]) if known else stream
            )
    return Mixture(tuple(streams.values()))
