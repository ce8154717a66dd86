"""The base of the project's own samplers: ordinary Optuna samplers over the canonical encoding."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from search.encoding import encode_sequence, search_space
from spaces.sequences import Sequence
from spaces.study import Study

#: (text form of the sequence, target); the target is empty if the objective is the average.
Candidate = tuple[str, str]


class SequenceSampler(optuna.samplers.BaseSampler, abc.ABC):
    """Chooses sequence and target itself and leaves the hyperparameters to random search.

    A subclass sees only what the Optuna study's storage holds, and its random numbers depend on
    the study's seed and the trial's number alone, so an interrupted run suggests what it would
    have suggested.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.targets = (
            tuple(target.name for target in study.targets)
            if study.objective == "per_target"
            else ("",)
        )

    @abc.abstractmethod
    def choose(
        self, study: optuna.Study, asked: set[Candidate], rng: np.random.Generator
    ) -> tuple[Sequence, str]:
        """Choose what to try next.

        Args:
            study: The Optuna study.
            asked: What was asked before, in any phase, at the study's seed.
            rng: Source of randomness.
        """

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the whole canonical encoding: everything is chosen together."""
        return search_space(self.study)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Choose the parameters of a new trial."""
        rng = np.random.default_rng([self.study.seed, trial.number])
        sequence, target = self.choose(study, self._asked(study), rng)
        values: dict[str, Any] = dict(encode_sequence(sequence, self.study.space.max_length))
        if target:
            values["target"] = target
        for name, distribution in search_space.items():
            if name not in values:
                values[name] = _draw(distribution, rng)
        return values

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter that is not part of the study's encoding."""
        rng = np.random.default_rng([self.study.seed, trial.number, len(trial.params)])
        return _draw(param_distribution, rng)

    def unseen(self, asked: set[Candidate], target: str) -> list[Sequence]:
        """Return the sequences not asked for a target; all of them if none is left."""
        space = list(self.study.space.enumerate())
        return [s for s in space if (str(s), target) not in asked] or space

    def next_target(self, asked: set[Candidate]) -> str:
        """Return the target with the fewest trials among those with sequences left."""
        counts = {target: sum(t == target for _, t in asked) for target in self.targets}
        open_targets = [t for t in self.targets if counts[t] < self.study.space.size]
        return min(open_targets or self.targets, key=lambda target: counts[target])

    def _asked(self, study: optuna.Study) -> set[Candidate]:
        found: set[Candidate] = set()
        for trial in study.get_trials(deepcopy=False):
            attributes: Mapping[str, Any] = trial.user_attrs
            if attributes.get("seed") == self.study.seed and "sequence" in attributes:
                target = attributes["target"] if self.targets != ("",) else ""
                found.add((attributes["sequence"], target))
        return found


def _draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Draw uniformly (log-uniformly where the distribution is logarithmic)."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(rng.integers(len(distribution.choices)))]
    low, high = distribution.low, distribution.high
    if isinstance(distribution, optuna.distributions.IntDistribution):
        return int(rng.integers(low, high + 1))
    if distribution.log:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(rng.uniform(low, high))
