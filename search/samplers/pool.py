"""Which candidates are looked at: all of a small space, the promising ones of a large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from search.samplers.history import Candidate, History
from spaces.sequences import Sequence, SequenceSpace, Stage

#: A space of more sequences is not looked at whole.
MAX_WHOLE = 2_000
#: Sequences of a large space that are drawn at random.
NUM_DRAWN = 500
#: Of each entity's best sequences so far, so many have their neighbours looked at.
NUM_BEST = 5


class CandidatePool:
    """The candidates of a space.

    Args:
        space: The space.
        entities: The targets, or one empty text.
    """

    def __init__(self, space: SequenceSpace, entities: tuple[str, ...]) -> None:
        self._space = space
        self._entities = entities
        self._whole = [str(s) for s in space.enumerate()] if space.size <= MAX_WHOLE else None

    def draw(self, history: History, rng: np.random.Generator) -> list[Candidate]:
        """Return candidates that were not asked; where all were, they all come again."""
        if self._whole is not None:
            texts = self._whole
        else:
            texts = list(dict.fromkeys((*self._promising(history), *self._random(rng))))
        pairs = [(text, entity) for text in texts for entity in self._entities]
        return [pair for pair in pairs if pair not in history.asked] or pairs

    def _random(self, rng: np.random.Generator) -> Iterator[str]:
        for i in rng.integers(self._space.size, size=NUM_DRAWN):
            yield str(self._space[int(i)])

    def _promising(self, history: History) -> Iterator[str]:
        """Yield the neighbours of each entity's best, at the largest rung each of them reached."""
        reached: dict[Candidate, tuple[int, float]] = {}
        for o in history.observations:
            key = (o.sequence, o.entity)
            reached[key] = max(reached.get(key, (-1, 0.0)), (o.rung, o.score))
        for entity in self._entities:
            mine = [(found, text) for (text, name), found in reached.items() if name == entity]
            for _, text in sorted(mine, reverse=True)[:NUM_BEST]:
                yield from (str(s) for s in neighbours(Sequence.parse(text), self._space))


def neighbours(sequence: Sequence, space: SequenceSpace) -> Iterator[Sequence]:
    """Yield the sequences one change away: a stage put in, taken out, exchanged, or two swapped.

    Changes of the last stage come first: they share the longest prefix with what is there.
    """
    stages = sequence.stages
    others = [Stage((task,)) for task in space.tasks if task not in sequence.names]
    for position in reversed(range(len(stages) + 1)):
        before, after = stages[:position], stages[position:]
        if len(stages) < space.max_length:
            for stage in others:
                yield Sequence((*before, stage, *after))
        if after:
            yield Sequence((*before, *after[1:]))
            for stage in others:
                yield Sequence((*before, stage, *after[1:]))
        for later in range(1, len(after)):
            swapped = [*after]
            swapped[0], swapped[later] = swapped[later], swapped[0]
            yield Sequence((*before, *swapped))
