"""The base of the project's own samplers: ordinary Optuna samplers over the canonical encoding."""

from __future__ import annotations

import abc
import zlib
from collections import Counter
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from search.encoding import encode_sequence, search_space
from search.samplers.history import Candidate, History, HistoryReader, parse
from spaces.model_axis import model_labels
from spaces.sequences import Sequence
from spaces.study import Study

#: A larger space is not looked at whole: so many sequences are drawn from it at a time.
MAX_CANDIDATES = 2_000


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
        self.model = model_labels(study)[0]
        self._asked: set[Candidate] = set()
        self._num_asked: Counter[str] = Counter()
        self._read_from: optuna.Study | None = None
        self._num_read = 0
        self._reader = self._make_reader()
        size = study.space.size
        self._whole_space = list(study.space.enumerate()) if size <= MAX_CANDIDATES else None

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
        """Choose the parameters of a new trial.

        Raises:
            ValueError: The Optuna study has several objectives.
        """
        _check_single(study)
        rng = np.random.default_rng([self.study.seed, trial.number])
        self._read(study)
        sequence, target = self.choose(study, self._asked, rng)
        values: dict[str, Any] = dict(encode_sequence(sequence, self.study))
        if target:
            values["target"] = target
        for name, distribution in search_space.items():
            if name not in values:
                values[name] = self.sample_independent(study, trial, name, distribution)
        return values

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter at random, on its own scale.

        Raises:
            ValueError: The Optuna study has several objectives.
        """
        _check_single(study)
        seed = draw_seed(self.study.seed, trial.number, param_name)
        random = optuna.samplers.RandomSampler(seed=seed)
        return random.sample_independent(study, trial, param_name, param_distribution)

    def unseen(
        self, asked: set[Candidate], target: str, rng: np.random.Generator
    ) -> list[Sequence]:
        """Return sequences not asked for a target: all of them, or a draw from a large space.

        If every one was asked, which is so when hyperparameters are what is left to search, they
        all come again.
        """
        if self._whole_space is not None:
            found = [s for s in self._whole_space if (str(s), target) not in asked]
            return found or self._whole_space
        space = self.study.space
        drawn = dict.fromkeys(space[int(i)] for i in rng.integers(space.size, size=MAX_CANDIDATES))
        return [s for s in drawn if (str(s), target) not in asked] or list(drawn)

    def by_trials(self) -> list[str]:
        """Return the targets with sequences left, those with the fewest trials first."""
        counts = self._num_asked
        open_targets = [t for t in self.targets if counts[t] < self.study.space.size]
        return sorted(open_targets or self.targets, key=lambda target: counts[target])

    def anything(self, rng: np.random.Generator) -> tuple[Sequence, str]:
        """Return any candidate: all were asked, and hyperparameters are what is left to search."""
        space = self.study.space
        return space[int(rng.integers(space.size))], str(rng.choice(self.targets))

    def history(self, study: optuna.Study) -> History:
        """Return what there is to know from an Optuna study."""
        return self._reader.read(study.get_trials(deepcopy=False))

    def _make_reader(self) -> HistoryReader:
        return HistoryReader(
            self.study.space,
            seed=self.study.seed,
            model=self.model,
            num_targets=len(self.study.targets),
            is_average=self.targets == ("",),
        )

    def _read(self, study: optuna.Study) -> None:
        """Take in what was asked since the last look; what a trial is never changes."""
        if study is not self._read_from:
            self._read_from, self._num_read = study, 0
            self._asked, self._num_asked = set(), Counter()
            self._reader = self._make_reader()
        is_settled = True
        for trial in study.get_trials(deepcopy=False)[self._num_read :]:
            attributes = trial.user_attrs
            # A trial that was asked for and not noted yet, this one for instance, is read again.
            is_settled &= "sequence" in attributes or trial.state.is_finished()
            self._num_read += is_settled
            if attributes.get("seed") != self.study.seed or "sequence" not in attributes:
                continue
            if attributes.get("model", self.model) != self.model:
                continue
            # The mixture of all tasks is a baseline, not a sequence of the space; so are an arm's.
            if parse(attributes["sequence"]) not in self.study.space:
                continue
            target = "" if self.targets == ("",) else attributes["target"]
            if (attributes["sequence"], target) not in self._asked:
                self._asked.add((attributes["sequence"], target))
                self._num_asked[target] += 1


def _check_single(study: optuna.Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"the Optuna study has {len(study.directions)} objectives; the samplers of sequences "
            "search for one. Give it a single direction."
        )


def draw_seed(study_seed: int, trial_number: int, param_name: str) -> int:
    """Return the seed of one draw: of study, trial and parameter, not of what was drawn before.

    So an interrupted run draws what an uninterrupted one would have drawn.
    """
    source = np.random.SeedSequence([study_seed, trial_number, zlib.crc32(param_name.encode())])
    return int(source.generate_state(1)[0])
