"""Random search: uniform over what was not asked yet."""

from __future__ import annotations

import numpy as np
import optuna

from search.samplers.base import SequenceSampler
from search.samplers.history import Candidate
from spaces.sequences import Sequence

#: Draws before the sequences that are left are listed.
MAX_DRAWS = 20


class UniformSampler(SequenceSampler):
    """The target with the fewest trials, and a sequence it has not had, uniformly."""

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        target = self.by_trials()[0]
        space = self.study.space
        # Drawing until one is new is as uniform as choosing among the new ones, and costs no list;
        # where most were asked already, the list comes cheaper.
        for _ in range(MAX_DRAWS):
            sequence = space[int(rng.integers(space.size))]
            if (str(sequence), target) not in asked:
                return sequence, target
        candidates = self.unseen(asked, target, rng)
        return candidates[int(rng.integers(len(candidates)))], target
