"""The surrogate: a Gaussian process over sequences, entities and rungs.

The score of sequence x for entity t at rung r, in units of that rung's spread, is modelled as

    level(t, r) + f(x, t) + own(x, t) + noise(r)

f is linear in the order features (presence, recency, precedence, adjacency, emptiness), with one
effect size a block for what all entities share and one for what is the entity's own. ``own`` is
what a sequence has beyond its features and keeps from rung to rung. So every rung of every prefix
is an observation of the same f + own, a cheap one with more noise; and every entity tells of the
others. Where similarities of tasks to targets are given, they are two more features, and how much
they tell is found like everything else: what tells nothing gets no weight. Sizes of effects and
noise are found by maximum a posteriori, as scikit-learn's ``GaussianProcessRegressor`` finds them
(Rasmussen and Williams 2006, chapter 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor

from search.samplers.features import Array, block_widths, order_features
from search.samplers.history import Candidate, Observation
from search.samplers.kernel import (
    LEVEL,
    MAX_RUNGS,
    NUM_SIMILARITIES,
    PRIOR_NOISE,
    PRIOR_OWN,
    PRIOR_RESIDUAL,
    PRIOR_SD,
    PRIOR_SHARED,
    TRUTH,
    OrderKernel,
)

#: Keeps covariances positive definite in floating point, no more.
JITTER = 1e-6
#: The model is fitted to at most so many observations: its time grows with their third power.
MAX_OBSERVATIONS = 1_200
#: Effect sizes are found on at most so many observations, spread over all.
MAX_FITTED = 160
#: They are found anew when there are this many times the observations of the last time.
REFIT_GROWTH = 1.3


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the surrogate says of some candidates, in units of the final rung's spread.

    Attributes:
        mean: Expected values.
        deviation: Standard deviations.
    """

    mean: Array
    deviation: Array


@dataclass(frozen=True, slots=True)
class _Points:
    """What the model is asked of, m of them.

    Attributes:
        features: `m x d`.
        numbers: Of the sequences.
        entities: Of the entities.
        rungs: Of the budgets, or ``TRUTH``.
    """

    features: Array
    numbers: NDArray[np.int64]
    entities: NDArray[np.int64]
    rungs: NDArray[np.int64]

    def rows(self) -> Array:
        """Return the points as the kernel takes them."""
        return np.column_stack([self.features, self.numbers, self.entities, self.rungs])


class Surrogate:
    """The model, fitted to observations.

    Args:
        tasks: The study's names.
        entities: The targets, or one empty text.
        similarity: Returns a candidate's similarity features, 2 numbers; none are used without it.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        entities: tuple[str, ...],
        similarity: Callable[[str, str], Array] | None = None,
    ) -> None:
        self._tasks = tasks
        self._similarity = similarity
        self._widths = (*block_widths(len(tasks)), NUM_SIMILARITIES)
        self._entities = {name: i for i, name in enumerate(entities)}
        self._numbers: dict[str, int] = {}
        self._prior = (*PRIOR_SHARED, *PRIOR_OWN, PRIOR_RESIDUAL, *PRIOR_NOISE)
        self._sizes: dict[int, tuple[float, ...]] = {}

    def fit(self, observations: Items[Observation], pending: Items[Candidate] = ()) -> None:
        """Fit to observations; what is pending is taken to come out as expected.

        So what is under way makes its like less uncertain and no better: several suggestions in
        flight do not collapse on one (the kriging believer of Ginsbourger et al. 2010).
        """
        self.log_variances = self._effect_sizes(observations)
        chosen = most_telling(observations, MAX_OBSERVATIONS)
        told = (observations[i] for i in chosen)
        seen = [(o.sequence, o.entity, o.rung) for o in told]
        ahead = [(text, entity, 0) for text, entity in pending]
        points, count = self._points([*seen, *ahead]), len(seen)
        covariance = self._covariance(points, points)
        noise = np.exp(self.log_variances[-MAX_RUNGS:])[np.minimum(points.rungs, MAX_RUNGS - 1)]
        covariance[np.diag_indices_from(covariance)] += noise + JITTER
        self._factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        # The factor of the observations alone is its upper left part.
        known = self._factor[:count, :count]
        values = cho_solve((known, True), scaled(observations)[chosen], check_finite=False)
        # What is pending tells of uncertainty and not of means: its weights are zero.
        self._weights = np.concatenate([values, np.zeros(len(ahead))])
        self._seen = points

    def means(self, candidates: Items[Candidate]) -> Array:
        """Return what is expected of candidates.

        The means are linear in the features, so they take a product with one vector of effects for
        all entities and one for each of them, however many observations there are.
        """
        points, seen = self._points([(t, e, TRUTH) for t, e in candidates]), self._seen
        shared, own, residual = self._variances()
        means: Array = points.features @ (shared * (seen.features.T @ self._weights))
        for entity in np.unique(points.entities):
            mine, theirs = points.entities == entity, seen.entities == entity
            effects = own * (seen.features[theirs].T @ self._weights[theirs])
            of_number = np.bincount(
                seen.numbers[theirs], self._weights[theirs], minlength=len(self._numbers)
            )
            means[mine] += points.features[mine] @ effects
            means[mine] += residual * of_number[points.numbers[mine]]
        return means

    def predict(self, candidates: Items[Candidate]) -> Prediction:
        """Return what is expected of candidates, and how uncertain that is."""
        points = self._points([(text, entity, TRUTH) for text, entity in candidates])
        shared, own, residual = self._variances()
        before = (points.features**2) @ (shared + own) + residual
        across = self._covariance(self._seen, points)
        told = solve_triangular(self._factor, across, lower=True, check_finite=False)
        left = before - np.einsum("ij,ij->j", told, told)
        return Prediction(self.means(candidates), np.sqrt(np.maximum(left, 0.0)))

    def _variances(self) -> tuple[Array, Array, float]:
        """Return the variance of each feature's shared and own effect, and of the residual."""
        variances, blocks = np.exp(self.log_variances), len(self._widths)
        shared = np.repeat(variances[:blocks], self._widths)
        own = np.repeat(variances[blocks : 2 * blocks], self._widths)
        return shared, own, float(variances[2 * blocks])

    def _covariance(self, left: _Points, right: _Points) -> Array:
        """Return the covariance without noise; what entities have of their own by entity."""
        shared, own, residual = self._variances()
        covariance: Array = (left.features * shared) @ right.features.T
        for entity in np.unique(left.entities):
            rows = np.flatnonzero(left.entities == entity)
            columns = np.flatnonzero(right.entities == entity)
            block = (left.features[rows] * own) @ right.features[columns].T
            block += residual * (left.numbers[rows, None] == right.numbers[columns])
            level = left.rungs[rows, None] == right.rungs[columns]
            block += LEVEL * (level & (right.rungs[columns] != TRUTH))
            covariance[np.ix_(rows, columns)] += block
        return covariance

    def _points(self, keys: Items[tuple[str, str, int]]) -> _Points:
        features = np.zeros((len(keys), sum(self._widths)))
        numbers = np.empty(len(keys), dtype=np.int64)
        for i, (text, entity, _) in enumerate(keys):
            numbers[i] = self._numbers.setdefault(text, len(self._numbers))
            features[i, :-NUM_SIMILARITIES] = order_features(text, self._tasks)
            if self._similarity is not None:
                features[i, -NUM_SIMILARITIES:] = self._similarity(text, entity)
        entities = np.array([self._entities[entity] for _, entity, _ in keys], dtype=np.int64)
        rungs = np.array([rung for _, _, rung in keys], dtype=np.int64)
        return _Points(features, numbers, entities, rungs)

    def _effect_sizes(self, observations: Items[Observation]) -> tuple[float, ...]:
        """Return the log variances, found anew only when there is much more to find them from.

        A function of the first observations alone: an interrupted search finds the same ones.
        """
        at = fitting_size(len(observations))
        if at == 0:
            return self._prior
        if at not in self._sizes:
            first = observations[:at]
            chosen = np.unique(np.linspace(0, at - 1, min(at, MAX_FITTED)).astype(int))
            points = self._points([(o.sequence, o.entity, o.rung) for o in first])
            self._sizes[at] = self._fit_effect_sizes(points.rows()[chosen], scaled(first)[chosen])
        return self._sizes[at]

    def _fit_effect_sizes(self, rows: Array, values: Array) -> tuple[float, ...]:
        kernel = OrderKernel(self._widths, self._prior)
        process = GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=None).fit(rows, values)
        prior = np.array(self._prior)

        def loss(theta: Array) -> tuple[float, Array]:
            value, gradient = process.log_marginal_likelihood(
                theta, eval_gradient=True, clone_kernel=False
            )
            away = (theta - prior) / PRIOR_SD
            return -value + 0.5 * float(away @ away), -gradient + away / PRIOR_SD

        found = minimize(
            loss, prior, jac=True, method="L-BFGS-B", bounds=kernel.bounds,
            options={"maxiter": 20},
        )  # fmt: skip
        return tuple(float(value) for value in found.x)


def scaled(observations: Items[Observation]) -> Array:
    """Return scores less the mean of their entity's rung, in units of its spread.

    The spread of a rung with few observations is drawn towards that of all rungs.
    """
    groups: dict[tuple[str, int], list[float]] = {}
    for o in observations:
        groups.setdefault((o.entity, o.rung), []).append(o.score)
    variances = [float(np.var(found)) for found in groups.values() if len(found) > 2]
    typical = float(np.mean(variances)) if variances else 0.0
    units = {
        key: (
            float(np.mean(found)),
            max(math.sqrt((len(found) * np.var(found) + 2 * typical) / (len(found) + 2)), 1e-9),
        )
        for key, found in groups.items()
    }
    centred = []
    for o in observations:
        mean, spread = units[o.entity, o.rung]
        centred.append((o.score - mean) / spread)
    return np.array(centred)


def most_telling(observations: Items[Observation], limit: int) -> NDArray[np.int64]:
    """Return which observations to fit to, at most ``limit`` of them, in their order.

    A higher rung tells more than a lower one, above all of the same candidate: what was superseded
    by a higher rung is left out first, then low rungs. Those left of one kind are spread evenly
    over the search, so that no part of it and no range of scores is preferred.
    """
    if len(observations) <= limit:
        return np.arange(len(observations))
    highest: dict[Candidate, int] = {}
    for o in observations:
        highest[o.sequence, o.entity] = max(highest.get((o.sequence, o.entity), 0), o.rung)
    kinds: dict[tuple[bool, int], list[int]] = {}
    for i, o in enumerate(observations):
        kinds.setdefault((o.rung == highest[o.sequence, o.entity], o.rung), []).append(i)
    chosen: list[int] = []
    for kind in sorted(kinds, reverse=True):
        found, left = kinds[kind], limit - len(chosen)
        spread = np.linspace(0, len(found) - 1, min(len(found), left)).astype(int)
        chosen.extend(found[i] for i in spread)
    return np.array(sorted(chosen))


def fitting_size(count: int) -> int:
    """Return from how many of ``count`` observations effect sizes are found; 0 for none.

    >>> [fitting_size(count) for count in (5, 10, 12, 13, 100)]
    [0, 10, 10, 13, 91]
    """
    size = 10
    if count < size:
        return 0
    while int(size * REFIT_GROWTH) <= count:
        size = int(size * REFIT_GROWTH)
    return size
