"""Random search: uniform over what was not asked yet."""

from __future__ import annotations

import numpy as np
import optuna

from search.samplers.base import Candidate, SequenceSampler
from spaces.sequences import Sequence


class UniformSampler(SequenceSampler):
    """The target with the fewest trials, and a sequence it has not had, uniformly."""

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        target = self.next_target(asked)
        candidates = self.unseen(asked, target, rng)
        return candidates[int(rng.integers(len(candidates)))], target
