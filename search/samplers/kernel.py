"""The surrogate's covariance over sequences, entities and rungs, as scikit-learn's kernels are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

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
PRIOR_SHARED = (-2.0, -2.5, -4.0, -4.0, -3.0, -4.0)
PRIOR_OWN = (-1.0, -2.0, -3.0, -3.0, -2.0, -4.0)
PRIOR_RESIDUAL = -2.5
PRIOR_NOISE = (-0.5, -1.5, -3.0, -3.0)
PRIOR_SD = 1.0
BOUNDS = (-9.0, 3.0)


class OrderKernel(Kernel):
    """The covariance of the model, over rows of features and marks.

    Args:
        widths: Number of features of each block.
        log_variances: Sizes of effects and noise, in the order of the ``PRIOR_*`` constants.
    """

    def __init__(self, widths: tuple[int, ...], log_variances: tuple[float, ...]) -> None:
        self.widths = widths
        self.log_variances = log_variances
        self._kept: tuple[Array, Array, Array] | None = None

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
        variances = np.exp(self.log_variances)
        if Y is not None:
            parts = self._parts(X, Y, noisy=False)
            return parts @ variances + LEVEL * self._same_level(X, Y)
        parts, level = self._own_parts(X)
        covariance: Array = parts @ variances + level
        return (covariance, parts * variances) if eval_gradient else covariance

    def _own_parts(self, rows: Array) -> tuple[Array, Array]:
        """Return the parts of rows with themselves, and their level.

        A search for effect sizes asks for the same rows again and again, and what the sizes
        multiply is the same every time.
        """
        if self._kept is None or self._kept[0] is not rows:
            level = LEVEL * self._same_level(rows, rows)
            self._kept = rows, self._parts(rows, rows, noisy=True), level
        return self._kept[1], self._kept[2]

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

    def _parts(self, left: Array, right: Array, *, noisy: bool) -> Array:
        """Return what each variance multiplies, `rows x rows x variances`."""
        same_entity = left[:, None, -2] == right[None, :, -2]
        shared = [a @ b.T for a, b in zip(self._blocks(left), self._blocks(right), strict=True)]
        own = [part * same_entity for part in shared]
        same = (same_entity & (left[:, None, -3] == right[None, :, -3])).astype(float)
        noise = []
        for rung in range(MAX_RUNGS):
            at_rung = np.minimum(left[:, -1], MAX_RUNGS - 1) == rung
            noise.append(np.diag(at_rung.astype(float)) if noisy else np.zeros_like(same))
        return np.stack([*shared, *own, same, *noise], axis=-1)

    def _same_level(self, left: Array, right: Array) -> Array:
        same = (left[:, None, -2] == right[None, :, -2]) & (left[:, None, -1] == right[None, :, -1])
        level: Array = (same & (left[:, None, -1] != TRUTH)).astype(float)
        return level
