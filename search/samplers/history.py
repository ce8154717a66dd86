"""What a search has seen so far, read from the Optuna study's storage alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from optuna.trial import FrozenTrial

from spaces.sequences import Sequence, SequenceSpace

#: (text form of the sequence, entity). The entity is the target, or empty if the objective is the
#: average over targets.
Candidate = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Observation:
    """A finite score of a sequence at a rung.

    Attributes:
        sequence: Text form.
        entity: Target, or empty for the average.
        rung: Index of the budget.
        score: The objective, 0 to 100.
        arrival: Its place in the run's order of reports.
    """

    sequence: str
    entity: str
    rung: int
    score: float
    arrival: int


@dataclass
class History:
    """Observations, what is under way, and what things cost.

    Attributes:
        observations: Scores in the order of their arrival.
        asked: Everything asked at the study's seed.
        pending: What was asked and has no report yet.
        paused: What waits at a rung, and the steps it has had of its target; the sampler may ask
            for it again to have it go on.
        stage_steps: Steps of each prefix that was trained or reused, by text form.
        budgets: Steps of the largest budget seen, by target.
    """

    observations: list[Observation] = field(default_factory=list)
    asked: set[Candidate] = field(default_factory=set)
    pending: set[Candidate] = field(default_factory=set)
    paused: dict[Candidate, int] = field(default_factory=dict)
    stage_steps: dict[str, int] = field(default_factory=dict)
    budgets: dict[str, int] = field(default_factory=dict)

    def copy(self) -> History:
        """Return a history that may be added to."""
        return History(
            self.observations.copy(),
            self.asked.copy(),
            self.pending.copy(),
            self.paused.copy(),
            self.stage_steps.copy(),
            self.budgets.copy(),
        )


#: (text form of the sequence, seed, rung) of an average, and (score, arrival) of its parts.
_Member = tuple[str, int, int]
_Report = tuple[float, int]
_Groups = defaultdict[_Member, list[_Report]]


class HistoryReader:
    """Reads what matters to a sampler; what a trial that has ended tells is read once.

    Trials outside the space (all tasks at once) are left out; confirmations on other seeds count as
    observations of their own.

    Args:
        space: The study's space.
        seed: The study's seed.
        model: Label of the model that is searched with; trials of others are left out.
        num_targets: Targets of the study; an average needs all of them.
        is_average: Whether the objective is the average over targets.
    """

    def __init__(
        self, space: SequenceSpace, *, seed: int, model: str, num_targets: int, is_average: bool
    ) -> None:
        self._space = space
        self._seed = seed
        self._model = model
        self._num_targets = num_targets
        self._is_average = is_average
        self._ended: set[int] = set()
        self._settled = History()
        # Reports of ended trials on averages that lack a target.
        self._partial: dict[_Member, list[_Report]] = {}

    def read(self, trials: Iterable[FrozenTrial]) -> History:
        """Read the history.

        Args:
            trials: All of a storage's trials; the same ones and newer ones at every call.
        """
        open_trials = []
        ended: _Groups = defaultdict(list)
        for trial in trials:
            if trial.number in self._ended:
                continue
            if trial.state.is_finished():
                self._ended.add(trial.number)
                self._take(trial, self._settled, ended)
            else:
                open_trials.append(trial)
        for key, found in ended.items():
            self._partial.setdefault(key, []).extend(found)
        for key in [key for key in ended if len(self._partial[key]) == self._num_targets]:
            self._settled.observations.append(_average(key, self._partial.pop(key)))
        history = self._settled.copy()
        groups: _Groups = defaultdict(list)
        for trial in open_trials:
            self._take(trial, history, groups)
        for key, reports in groups.items():
            found = [*self._partial.get(key, ()), *reports]
            if len(found) == self._num_targets:
                history.observations.append(_average(key, found))
        history.observations.sort(key=lambda o: (o.arrival, o.sequence, o.entity, o.rung))
        return history

    def _take(self, trial: FrozenTrial, history: History, groups: _Groups) -> None:
        """Note a trial, and its reports in the groups that they are averaged in."""
        attributes: Mapping[str, Any] = trial.user_attrs
        text = attributes.get("sequence")
        if text is None or attributes.get("model", self._model) != self._model:
            return
        _read_costs(trial, text, history)
        if parse(text) not in self._space:
            return
        entity = "" if self._is_average else attributes["target"]
        if attributes.get("seed") == self._seed:
            history.asked.add((text, entity))
            if not trial.state.is_finished():
                _read_open(trial, (text, entity), history)
        for rung, score in trial.intermediate_values.items():
            if not math.isfinite(score):
                continue
            arrival = attributes.get(f"rung:{rung}", {}).get("arrival", trial.number)
            if self._is_average:
                key = (text, attributes.get("seed", self._seed), rung)
                groups[key].append((score, arrival))
            else:
                history.observations.append(Observation(text, entity, rung, score, arrival))


def _average(key: _Member, reports: list[_Report]) -> Observation:
    """Return the observation of an average; the same in whichever order its parts were read."""
    scores, arrivals = zip(*reports, strict=True)
    return Observation(key[0], "", key[2], math.fsum(scores) / len(scores), max(arrivals))


def _read_open(trial: FrozenTrial, candidate: Candidate, history: History) -> None:
    """Note a trial that is under way as pending or paused."""
    if not trial.intermediate_values:
        history.pending.add(candidate)
        return
    rung = max(trial.intermediate_values)
    if trial.user_attrs.get(f"decision:{rung}") == "pause":
        steps = trial.user_attrs[f"rung:{rung}"]["budget_steps"]
        history.paused[candidate] = history.paused.get(candidate, 0) + steps


def _read_costs(trial: FrozenTrial, text: str, history: History) -> None:
    prefixes = prefix_texts(text)
    for name, value in trial.user_attrs.items():
        kind, _, number = name.partition(":")
        # A target's training chain stands behind the sequence; it is no prefix of the space.
        if kind == "stage" and int(number) < len(prefixes):
            history.stage_steps[prefixes[int(number)]] = value["steps"]
        elif kind == "rung":
            target = trial.user_attrs["target"]
            budget = value["budget_steps"]
            history.budgets[target] = max(history.budgets.get(target, 0), budget)


@lru_cache(maxsize=200_000)
def parse(text: str) -> Sequence:
    """Return the sequence of a text form; one that was read before is not read again."""
    return Sequence.parse(text)


@lru_cache(maxsize=200_000)
def prefix_texts(text: str) -> tuple[str, ...]:
    """Return the text forms of a sequence's prefixes, the shortest first.

    >>> prefix_texts("a>b")
    ('a', 'a>b')
    """
    return tuple(str(prefix) for prefix in parse(text).prefixes())
