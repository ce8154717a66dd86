"""Search by similarity alone, and what similarity tells the surrogate of a sequence."""

from __future__ import annotations

import numpy as np
import optuna

from search.samplers.base import SequenceSampler
from search.samplers.features import Array
from search.samplers.history import Candidate, parse
from search.similarity_prior import Prior, read_prior
from spaces.errors import InputError
from spaces.sequences import Sequence
from spaces.study import Study


def similarity_features(text: str, entity: str, prior: Prior) -> Array:
    """Return a candidate's similarities: of its stages in all, and of the last one.

    A sum, as the effects of stages add up in the surrogate: weighed, it is the prior mean of them.

    Args:
        text: Text form of a sequence of the study.
        entity: A target, or empty for the average over targets.
        prior: Similarity of stages to entities, as from ``similarity_prior``.

    Returns:
        2 numbers; 0 for the empty sequence.
    """
    of_name = [prior[name, entity] for name in parse(text).names]
    return np.array([sum(of_name), of_name[-1] if of_name else 0.0])


class SimilarityGreedySampler(SequenceSampler):
    """Sequences in the order of their similarity to the target, the most similar first.

    That is the mean similarity of the stages and that of the last one, added; nothing that has run
    changes the order. The empty sequence comes first.

    Raises:
        InputError: The study names no table of similarities.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        prior = read_prior(study)
        if prior is None:
            raise InputError(
                "search.sampler: similarity_greedy needs search.similarity, the table that "
                "`taskorder similarity` writes."
            )
        self._prior = prior

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        target = self.by_trials()[0]
        if ("", target) not in asked:
            return Sequence(), target
        return max(self.unseen(asked, target, rng), key=lambda s: self._worth(s, target)), target

    def _worth(self, sequence: Sequence, target: str) -> tuple[float, int, str]:
        if not sequence.stages:
            return 0.0, 0, ""
        total, last = similarity_features(str(sequence), target, self._prior)
        # Of equals the shorter one, and then by name.
        return total / len(sequence) + last, -len(sequence), str(sequence)
