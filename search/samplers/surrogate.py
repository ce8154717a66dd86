"""The sequence sampler: a linear surrogate over order features, and what a candidate would cost.

A score is modelled as the target's mean plus effects of which tasks are present, which one comes
last, which precedes which, and which follow each other directly. Bayesian ridge regression
(MacKay 1992, as scikit-learn implements it) gives mean and uncertainty; every rung of every trial
is an observation, centred on its own rung and target so that cheap and full budgets add up, and
all targets share the effects. The candidate with the largest expected improvement per square root
of its marginal cost is chosen, where stages that the run already has cost nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

from search.samplers.base import Candidate, SequenceSampler
from spaces.sequences import Sequence
from spaces.study import Study

Array = NDArray[np.float64]

#: Cost of a target's fine-tuning in units of one stage, when nothing better is known.
TARGET_COST = 0.5
#: Trials of a target that are drawn at random before the surrogate is asked.
NUM_WARMUP = 2


class SurrogateSampler(SequenceSampler):
    """Expected improvement of a surrogate on order features, per square root of marginal cost.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._features: dict[str, Array] = {}

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        target = self.next_target(asked)
        candidates = self.unseen(asked, target, rng)
        observed, values, mine = self._observations(study, target)
        if len(mine) < NUM_WARMUP:
            return candidates[int(rng.integers(len(candidates)))], target
        from sklearn.linear_model import BayesianRidge  # noqa: PLC0415  (1.5 s that `check` spares)

        model = BayesianRidge().fit(observed, values)
        mean, deviation = model.predict(
            np.stack([self._features_of(s) for s in candidates]), return_std=True
        )
        gain = expected_improvement(mean, deviation, max(mine))
        cost = marginal_costs(candidates, asked)
        # A draw breaks ties, so that equal candidates are not taken in the order of enumeration.
        worth = gain / np.sqrt(cost) + rng.uniform(0, 1e-9, len(candidates))
        return candidates[int(np.argmax(worth))], target

    def _observations(self, study: optuna.Study, target: str) -> tuple[Array, Array, list[float]]:
        """Return features, centred scores of all targets, and the centred scores of this one."""
        groups: dict[tuple[str, int], list[tuple[str, float]]] = defaultdict(list)
        for trial in study.get_trials(deepcopy=False):
            attributes: dict[str, Any] = trial.user_attrs
            text = attributes.get("sequence")
            if text is None or Sequence.parse(text) not in self.study.space:
                continue
            for rung, score in trial.intermediate_values.items():
                if np.isfinite(score):
                    groups[attributes["target"], rung].append((text, score))
        rows, values, mine = [], [], []
        for (name, _), scored in groups.items():
            centre = float(np.mean([score for _, score in scored]))
            for sequence, score in scored:
                rows.append(self._features_of(Sequence.parse(sequence)))
                values.append(score - centre)
                if target in ("", name):
                    mine.append(score - centre)
        empty = np.zeros((0, len(self._features_of(Sequence()))))
        return (np.stack(rows) if rows else empty), np.array(values), mine

    def _features_of(self, sequence: Sequence) -> Array:
        text = str(sequence)
        if text not in self._features:
            self._features[text] = order_features(sequence, self.study.space.tasks)
        return self._features[text]


def marginal_costs(candidates: list[Sequence], asked: set[Candidate]) -> Array:
    """Return the stages each candidate would still have to train, plus its fine-tuning.

    Args:
        candidates: What might be tried.
        asked: What was: its prefixes are in the store, or will be.
    """
    known = {str(prefix) for text, _ in asked for prefix in Sequence.parse(text).prefixes()}
    missing = [sum(str(p) not in known for p in sequence.prefixes()) for sequence in candidates]
    return TARGET_COST + np.array(missing, dtype=np.float64)


def order_features(sequence: Sequence, tasks: tuple[str, ...]) -> Array:
    """Return a sequence's features: presence, last, precedence, adjacency, length.

    Args:
        sequence: Single-task stages.
        tasks: The study's tasks, n of them.

    Returns:
        `2n + 2n^2 + 1` numbers, each 0 or 1 but the length.
    """
    n = len(tasks)
    index = {task: i for i, task in enumerate(tasks)}
    order = [index[name] for name in sequence.names]
    presence, last = np.zeros(n), np.zeros(n)
    precedence, adjacency = np.zeros((n, n)), np.zeros((n, n))
    presence[order] = 1
    if order:
        last[order[-1]] = 1
    for position, first in enumerate(order):
        for later in order[position + 1 :]:
            precedence[first, later] = 1
        if position + 1 < len(order):
            adjacency[first, order[position + 1]] = 1
    return np.concatenate(
        [presence, last, precedence.ravel(), adjacency.ravel(), [len(order) / max(1, n)]]
    )


def expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the expected improvement over ``best`` (Jones et al. 1998), at least 0."""
    from scipy.stats import norm  # noqa: PLC0415  (most of a second that `check` spares)

    deviation = np.maximum(deviation, 1e-12)
    z = (mean - best) / deviation
    improvement: Array = (mean - best) * norm.cdf(z) + deviation * norm.pdf(z)
    return np.maximum(improvement, 0.0)
