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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

from search.samplers.features import block_widths, order_features
from search.samplers.history import Candidate, Observation

Array = NDArray[np.float64]

#: Similarity features of a candidate.
NUM_SIMILARITIES = 2
#: Rungs beyond this one share their noise.
MAX_RUNGS = 4
#: Columns behind the features: number of the sequence, of the entity, of the rung.
NUM_MARKS = 3
#: The rung of what is predicted: the truth itself, without a level or noise.
TRUTH = -1
#: Prior variance of a rung's level around the mean of its observations.
LEVEL = 1.0
#: Log variances before anything is seen, and how far they may be from that: shared effects, own
#: effects, what is the sequence's own, noise by rung.
PRIOR_SHARED = (-2.0, -2.5, -4.0, -4.0, -3.0, -2.0)
PRIOR_OWN = (-1.0, -2.0, -3.0, -3.0, -2.0, -4.0)
PRIOR_RESIDUAL = -2.5
PRIOR_NOISE = (-0.5, -1.5, -3.0, -3.0)
PRIOR_SD = 3.0
BOUNDS = (-9.0, 3.0)
#: Effect sizes are found on at most so many observations, spread over all.
MAX_FITTED = 160
#: They are found anew when there are this many times the observations of the last time.
REFIT_GROWTH = 1.3


class OrderKernel(Kernel):
    """The covariance of the model, over rows of features and marks.

    Args:
        widths: Number of features of each block.
        log_variances: Sizes of effects and noise, in the order of the ``PRIOR_*`` constants.
    """

    def __init__(self, widths: tuple[int, ...], log_variances: tuple[float, ...]) -> None:
        self.widths = widths
        self.log_variances = log_variances

    @property
    def hyperparameter_log_variances(self) -> Hyperparameter:
        """What is fitted; scikit-learn finds it by this name."""
        size = len(self.log_variances)
        return Hyperparameter("log_variances", "numeric", np.tile(np.exp(BOUNDS), (size, 1)), size)

    @property
    def theta(self) -> Array:
        """The log variances."""
        return np.array(self.log_variances)

    @theta.setter
    def theta(self, theta: Array) -> None:
        self.log_variances = tuple(float(value) for value in theta)

    @property
    def bounds(self) -> Array:
        """Bounds of the log variances."""
        return np.tile(BOUNDS, (len(self.log_variances), 1))

    def __call__(self, X: Array, Y: Array | None = None, eval_gradient: bool = False) -> Any:  # noqa: N803
        """Return the covariance of rows, and its derivatives by the log variances."""
        other = X if Y is None else Y
        parts = self._parts(X, other, noisy=Y is None)
        variances = np.exp(self.log_variances)
        covariance = np.tensordot(variances, np.stack(parts), axes=1) if eval_gradient else None
        if covariance is None:
            covariance = np.zeros((len(X), len(other)))
            for variance, part in zip(variances, parts, strict=True):
                covariance += variance * part
        covariance = covariance + LEVEL * self._same_level(X, other)
        if eval_gradient:
            return covariance, np.stack(parts, axis=-1) * variances
        return covariance

    def diag(self, X: Array) -> Array:  # noqa: N803
        """Return the variances of rows, noise and level included."""
        variances = np.exp(self.log_variances)
        num_blocks = len(self.widths)
        diagonal = np.full(len(X), variances[2 * num_blocks])
        for k, block in enumerate(self._blocks(X)):
            diagonal += (variances[k] + variances[num_blocks + k]) * (block**2).sum(1)
        rungs = X[:, -1].astype(int)
        noise = variances[2 * num_blocks + 1 :][np.minimum(rungs, MAX_RUNGS - 1)]
        return diagonal + np.where(rungs == TRUTH, 0.0, noise + LEVEL)

    def is_stationary(self) -> bool:
        """Say that the covariance depends on more than differences of rows."""
        return False

    def _blocks(self, rows: Array) -> list[Array]:
        ends = np.cumsum(self.widths)
        return [rows[:, end - width : end] for width, end in zip(self.widths, ends, strict=True)]

    def _parts(self, left: Array, right: Array, *, noisy: bool) -> list[Array]:
        """Return what each variance multiplies."""
        same_entity = left[:, None, -2] == right[None, :, -2]
        shared = [a @ b.T for a, b in zip(self._blocks(left), self._blocks(right), strict=True)]
        own = [part * same_entity for part in shared]
        same = (same_entity & (left[:, None, -3] == right[None, :, -3])).astype(float)
        noise = []
        for rung in range(MAX_RUNGS):
            at_rung = np.minimum(left[:, -1], MAX_RUNGS - 1) == rung
            noise.append(np.diag(at_rung.astype(float)) if noisy else np.zeros_like(same))
        return [*shared, *own, same, *noise]

    def _same_level(self, left: Array, right: Array) -> Array:
        same = (left[:, None, -2] == right[None, :, -2]) & (left[:, None, -1] == right[None, :, -1])
        level: Array = (same & (left[:, None, -1] != TRUTH)).astype(float)
        return level


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the surrogate says of some candidates, in units of the final rung's spread.

    Attributes:
        mean: Expected values.
        deviation: Standard deviations.
    """

    mean: Array
    deviation: Array


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
        rows = self._rows([(o.sequence, o.entity, o.rung) for o in observations])
        values = scaled(observations)
        kernel = OrderKernel(self._widths, self._effect_sizes(observations))
        # What is added to the diagonal keeps it positive definite in floating point, no more.
        self._process = GaussianProcessRegressor(kernel, alpha=1e-6, optimizer=None)
        self._process.fit(rows, values)
        if pending:
            ahead = self._rows([(text, entity, 0) for text, entity in pending])
            expected = self._process.predict(ahead)
            self._process.fit(np.vstack([rows, ahead]), np.concatenate([values, expected]))

    def means(self, candidates: Items[Candidate]) -> Array:
        """Return what is expected of candidates."""
        rows = self._rows([(text, entity, TRUTH) for text, entity in candidates])
        means: Array = self._process.predict(rows)
        return means

    def predict(self, candidates: Items[Candidate]) -> Prediction:
        """Return what is expected of candidates, and how uncertain that is."""
        rows = self._rows([(text, entity, TRUTH) for text, entity in candidates])
        return Prediction(*self._process.predict(rows, return_std=True))

    def _rows(self, keys: Items[tuple[str, str, int]]) -> Array:
        rows = np.zeros((len(keys), sum(self._widths) + NUM_MARKS))
        for i, (text, entity, rung) in enumerate(keys):
            number = self._numbers.setdefault(text, len(self._numbers))
            rows[i, : -NUM_MARKS - NUM_SIMILARITIES] = order_features(text, self._tasks)
            if self._similarity is not None:
                rows[i, -NUM_MARKS - NUM_SIMILARITIES : -NUM_MARKS] = self._similarity(text, entity)
            rows[i, -NUM_MARKS:] = number, self._entities[entity], rung
        return rows

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
            rows = self._rows([(o.sequence, o.entity, o.rung) for o in first])
            self._sizes[at] = self._fit_effect_sizes(rows[chosen], scaled(first)[chosen])
        return self._sizes[at]

    def _fit_effect_sizes(self, rows: Array, values: Array) -> tuple[float, ...]:
        from scipy.optimize import minimize  # noqa: PLC0415

        kernel = OrderKernel(self._widths, self._prior)
        process = GaussianProcessRegressor(kernel, alpha=1e-6, optimizer=None).fit(rows, values)
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
