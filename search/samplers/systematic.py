"""Samplers that go through the space in an order of their own, without a model."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import optuna

from search.samplers.base import SequenceSampler
from search.samplers.history import Candidate, History
from spaces.sequences import Sequence

#: Sequences of a length that beam search extends.
BEAM_WIDTH = 3


class ExhaustiveSampler(SequenceSampler):
    """Every sequence, by length, each for all targets before the next: a stage serves them all."""

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        for sequence in self.study.space.enumerate():
            for target in self.targets:
                if (str(sequence), target) not in asked:
                    return sequence, target
        return self.anything(rng)


class BeamSampler(SequenceSampler):
    """Beam search: of each length, the best few sequences are extended by every stage.

    The best are those with the highest score at the furthest rung. Each target has a beam of its
    own. Once the beam has gone through all lengths, it is widened, so that in the end it has been
    everywhere.

    Source: Lowerre 1976, "The HARPY speech recognition system"; here over sequences of stages.
    """

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        history = self.history(study)
        beams = {target: self._beam(history, target) for target in self.targets}
        # The target that is behind comes first, so that all of them go down together.
        for target in self.by_trials():
            for sequence in beams[target]:
                if (str(sequence), target) not in asked:
                    return sequence, target
        return self.anything(rng)

    def _beam(self, history: History, target: str) -> Iterator[Sequence]:
        """Yield the sequences of a target's beam, and then of wider and wider ones."""
        reached: dict[str, tuple[int, float]] = {}
        for o in history.observations:
            if o.entity == target:
                known = reached.get(o.sequence, (-1, 0.0))
                reached[o.sequence] = max(known, (o.rung, o.score))
        space, width = self.study.space, BEAM_WIDTH
        while True:
            parents, is_whole = [Sequence()], True
            yield from parents
            for _ in range(space.max_length):
                children = [child for parent in parents for child in space.extensions(parent)]
                yield from children
                is_whole = is_whole and len(children) <= width
                # What has no score yet, or failed, comes last.
                children.sort(key=lambda c: reached.get(str(c), (-1, -math.inf)), reverse=True)
                parents = children[:width]
            if is_whole or width > space.size:
                return
            width *= 2
