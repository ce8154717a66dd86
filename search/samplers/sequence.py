"""The sequence sampler: what is worth most for what it would cost.

A surrogate (``search.samplers.surrogate``) says what to expect of every candidate, a sequence for
a target, and how uncertain that is. A candidate is worth its expected improvement over the best
expectation so far. Its cost is its marginal one: the stages that the run does not have yet, and its
share of the target's fine-tuning. A stage that is trained serves every target, so the value of a
new sequence is summed over the targets that are worth their fine-tuning.

The way to a sequence goes over its prefixes: the first that was not tried is suggested in its
place, and what it comes to decides whether the way is worth going on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as Items
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import optuna

from search.samplers.base import SequenceSampler
from search.samplers.features import Array
from search.samplers.history import Candidate, History, parse, prefix_texts
from search.samplers.pool import CandidatePool
from search.samplers.similarity import similarity_features
from search.similarity_prior import read_prior
from spaces.sequences import STAGE_SEPARATOR, Sequence
from spaces.study import Study

if TYPE_CHECKING:
    from search.samplers.surrogate import Surrogate

#: Part of a target's full budget that a suggestion is taken to cost: with three rungs and a
#: reduction factor of 3 it is 1/9, 2/9 more for one in three and the rest for one in nine.
TARGET_SHARE = 0.25
#: Steps of a target relative to a stage when nothing has been trained yet.
TARGET_COST = 0.5
#: Value is divided by cost to this power.
COST_POWER = 0.5
#: Candidates whose uncertainty is computed: those with the highest expectations.
MAX_WEIGHED = 256
#: Paused trials whose uncertainty is computed, likewise.
MAX_PAUSED = 64
#: Pending suggestions that count; more of them say little more.
MAX_PENDING = 64


class SurrogateSampler(SequenceSampler):
    """Expected improvement per marginal cost.

    First come the empty sequence and every single stage: they tell most about all others, and
    are what every result stands beside. Where similarities are given, the third of the single
    stages that is least similar to the targets is left to the surrogate.

    Args:
        study: The study.
        cost_power: Value is divided by cost to this power; 0 ignores cost.
    """

    def __init__(self, study: Study, cost_power: float = COST_POWER) -> None:
        super().__init__(study)
        self._cost_power = cost_power
        self._prior = read_prior(study)
        self._pool = CandidatePool(study.space, self.targets)
        self._first = [Sequence(), *self._singles()]

    def _singles(self) -> list[Sequence]:
        """Return the single stages that come first: two thirds where similarities tell which."""
        space, prior = self.study.space, self._prior
        tasks = list(space.tasks) if space.max_length else []
        if prior is not None:
            # A stage that suits one target well is worth a try, whatever the others say of it.
            tasks.sort(key=lambda task: -max(prior[task, target] for target in self.targets))
            tasks = tasks[: math.ceil(len(tasks) * 2 / 3)]
        return [Sequence.of(task) for task in tasks]

    @cached_property
    def _surrogate(self) -> Surrogate:
        # Loading scikit-learn takes a second and a half that `check` spares.
        from search.samplers.surrogate import Surrogate  # noqa: PLC0415

        similarity = None
        if self._prior is not None:
            similarity = partial(similarity_features, prior=self._prior)
        return Surrogate(self.study.space.tasks, self.targets, similarity)

    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next."""
        for sequence in self._first:
            for target in self.targets:
                if (str(sequence), target) not in asked:
                    return sequence, target
        history = self.history(study)
        candidates = self._pool.draw(history, rng)
        if not history.observations:
            text, target = candidates[int(rng.integers(len(candidates)))]
            return parse(text), target
        text, target = self._best(history, candidates, rng)
        sequence = parse(text)
        if (text, target) in asked:
            return sequence, target  # It is paused, and is to go on.
        return first_unasked(sequence, target, asked), target

    def _best(
        self, history: History, candidates: list[Candidate], rng: np.random.Generator
    ) -> Candidate:
        surrogate = self._surrogate
        pending = sorted(history.pending)[-MAX_PENDING:]
        surrogate.fit(history.observations, pending)
        # A paused trial is a candidate too: it costs no more than the rest of its fine-tuning.
        candidates = [
            *most_expected(surrogate, candidates, MAX_WEIGHED),
            *most_expected(surrogate, sorted(history.paused), MAX_PAUSED),
        ]
        prediction = surrogate.predict(candidates)
        visited = sorted({(o.sequence, o.entity) for o in history.observations})
        best = dict.fromkeys(self.targets, -np.inf)
        for (_, entity), mean in zip(visited, surrogate.means(visited), strict=True):
            best[entity] = max(best[entity], mean)
        floor = np.array([max(best[entity], -10.0) for _, entity in candidates])
        gain = expected_improvement(prediction.mean, prediction.deviation, floor)
        costs = Costs.of(history, self.targets, len(self.study.targets))
        return choose_best(candidates, gain, costs, self._cost_power, rng)


def most_expected(surrogate: Surrogate, candidates: list[Candidate], count: int) -> list[Candidate]:
    """Return the candidates with the highest expectations, at most so many."""
    if len(candidates) <= count:
        return candidates
    order = np.argsort(-surrogate.means(candidates), kind="stable")[:count]
    return [candidates[i] for i in order]


def first_unasked(sequence: Sequence, target: str, asked: Set[Candidate]) -> Sequence:
    """Return the first prefix of a sequence that was not asked for a target, or the sequence.

    Its stages are trained in any case, and a probe costs little beside a stage: what it says may
    spare the stages that follow.
    """
    return next((p for p in sequence.prefixes() if (str(p), target) not in asked), sequence)


@dataclass(frozen=True)
class Costs:
    """What candidates cost, in steps.

    Attributes:
        known: Text forms of the prefixes that the run has, or will have.
        by_task: Steps of a stage by its name, as far as it is known.
        typical: Steps of a stage that is not known.
        of_entity: Steps of fine-tuning on a target.
        had: Steps that paused candidates have had.
    """

    known: frozenset[str]
    by_task: dict[str, float]
    typical: float
    of_entity: dict[str, float]
    had: dict[Candidate, int]

    @classmethod
    def of(cls, history: History, entities: Items[str], num_targets: int) -> Costs:
        """Read costs from what has run."""
        steps: dict[str, list[int]] = {}
        for text, count in history.stage_steps.items():
            steps.setdefault(text.rpartition(STAGE_SEPARATOR)[2], []).append(count)
        by_task = {name: float(np.mean(counts)) for name, counts in steps.items()}
        typical = float(np.mean(list(by_task.values()))) if by_task else 1.0
        budgets = history.budgets
        mean = float(np.mean(list(budgets.values()))) if budgets else TARGET_COST * typical
        of_entity = {
            entity: budgets.get(entity, mean) if entity else num_targets * mean
            for entity in entities
        }
        known = {
            prefix
            for text in (*history.stage_steps, *(text for text, _ in history.asked))
            for prefix in prefix_texts(text)
        }
        return cls(frozenset(known), by_task, typical, of_entity, history.paused)

    def of_target(self, candidate: Candidate) -> float:
        """Return the steps of fine-tuning that a candidate is taken to cost."""
        full = self.of_entity[candidate[1]]
        if candidate in self.had:
            return max(full - self.had[candidate], 1e-3 * full)
        return TARGET_SHARE * full

    def of_stages(self, text: str) -> float:
        """Return the steps of the stages that a sequence still lacks."""
        return sum(
            self.by_task.get(prefix.rpartition(STAGE_SEPARATOR)[2], self.typical)
            for prefix in prefix_texts(text)
            if prefix not in self.known
        )


def choose_best(
    candidates: Items[Candidate],
    gain: Array,
    costs: Costs,
    power: float,
    rng: np.random.Generator,
) -> Candidate:
    """Return the candidate with the most value for its cost.

    The stages of a sequence are paid once for all its entities: they are taken together, the most
    valuable ones first, as long as that raises the value for the cost.
    """
    by_sequence: dict[str, list[tuple[float, str]]] = {}
    for (text, entity), value in zip(candidates, gain.tolist(), strict=True):
        by_sequence.setdefault(text, []).append((value, entity))
    best, worth = candidates[0], -np.inf
    # A draw breaks ties, so that equal candidates are not taken in the order of enumeration.
    draws = rng.uniform(0, 1e-12, len(by_sequence))
    for draw, (text, valued) in zip(draws, by_sequence.items(), strict=True):
        cost, value = costs.of_stages(text), 0.0
        valued.sort(reverse=True)
        for improvement, entity in valued:
            value += improvement
            cost += costs.of_target((text, entity))
            # Evaluation is never free: a target without training counts as one step.
            rate = value / max(cost, 1.0) ** power + draw
            if rate > worth:
                best, worth = (text, valued[0][1]), rate
    return best


def expected_improvement(mean: Array, deviation: Array, best: Array) -> Array:
    """Return the expected improvement over ``best`` (Jones et al. 1998), at least 0."""
    from scipy.stats import norm  # noqa: PLC0415  (most of a second that `check` spares)

    deviation = np.maximum(deviation, 1e-12)
    z = (mean - best) / deviation
    improvement: Array = (mean - best) * norm.cdf(z) + deviation * norm.pdf(z)
    return np.maximum(improvement, 0.0)
