"""What a search has seen so far, read from the Optuna study's storage alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
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


def read_history(
    trials: Iterable[FrozenTrial],
    space: SequenceSpace,
    *,
    seed: int,
    num_targets: int,
    is_average: bool,
) -> History:
    """Read what matters to a sampler.

    Trials outside the space (all tasks at once) are left out; confirmations on other seeds count as
    observations of their own.

    Args:
        trials: The storage's trials.
        space: The study's space.
        seed: The study's seed.
        num_targets: Targets of the study; an average needs all of them.
        is_average: Whether the objective is the average over targets.
    """
    history = History()
    members: dict[tuple[str, int, int], list[tuple[float, int]]] = defaultdict(list)
    for trial in trials:
        attributes: Mapping[str, Any] = trial.user_attrs
        text = attributes.get("sequence")
        if text is None:
            continue
        _read_costs(trial, text, history)
        if Sequence.parse(text) not in space:
            continue
        entity = "" if is_average else attributes["target"]
        if attributes.get("seed") == seed:
            history.asked.add((text, entity))
            if not trial.state.is_finished():
                _read_open(trial, (text, entity), history)
        for rung, score in trial.intermediate_values.items():
            if not np.isfinite(score):
                continue
            arrival = attributes.get(f"rung:{rung}", {}).get("arrival", trial.number)
            if is_average:
                members[text, attributes.get("seed", seed), rung].append((score, arrival))
            else:
                history.observations.append(Observation(text, entity, rung, score, arrival))
    for (text, _, rung), found in members.items():
        if len(found) == num_targets:
            scores, arrivals = zip(*found, strict=True)
            mean = float(np.mean(scores))
            history.observations.append(Observation(text, "", rung, mean, max(arrivals)))
    history.observations.sort(key=lambda o: (o.arrival, o.sequence, o.entity, o.rung))
    return history


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
    names = Sequence.parse(text).prefixes()
    prefixes = [str(prefix) for prefix in names]
    for name, value in trial.user_attrs.items():
        kind, _, number = name.partition(":")
        # A target's training chain stands behind the sequence; it is no prefix of the space.
        if kind == "stage" and int(number) < len(prefixes):
            history.stage_steps[prefixes[int(number)]] = value["steps"]
        elif kind == "rung":
            target = trial.user_attrs["target"]
            budget = value["budget_steps"]
            history.budgets[target] = max(history.budgets.get(target, 0), budget)
