"""Our search, and our search less one idea at a time, on a recorded table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from benchmarks.search_goal import Goal
from search.samplers.sequence import SurrogateSampler
from search.simulation import Incumbent, simulate
from spaces.study import Study
from trainables.tabular import TabularTrainable


@dataclass(frozen=True)
class Method:
    """A search of ours.

    Attributes:
        says: What it is, for people.
        search: Keys of the study's search section.
        shares_prefixes: Whether stages are shared.
        make_sampler: Makes the sampler, if it is not one of the study's.
    """

    says: str
    search: Mapping[str, Any] = field(default_factory=dict)
    shares_prefixes: bool = True
    make_sampler: Callable[[Study], optuna.samplers.BaseSampler] | None = None


METHODS: dict[str, Method] = {
    "ours": Method("ours: surrogate, sharing, ASHA, cost"),
    "no-sharing": Method("ours less sharing of stages", shares_prefixes=False),
    "no-surrogate": Method(
        "ours less the surrogate (random, sharing, ASHA)", {"sampler": "random"}
    ),
    "no-asha": Method("ours less ASHA", {"asha": None}),
    "no-cost": Method(
        "ours less cost awareness", make_sampler=lambda study: SurrogateSampler(study, cost_power=0)
    ),
    "random": Method(
        "random search, full budgets, nothing shared",
        {"sampler": "random", "asha": None},
        shares_prefixes=False,
    ),
}


def steps_of_ours(goal: Goal, method: Method, seed: int, max_steps: int) -> float:
    """Return the steps that a method takes to find the best; infinite beyond ``max_steps``."""
    study = goal.study(seed, **method.search)
    trainable = TabularTrainable.of(study, goal.table, shares_prefixes=method.shares_prefixes)
    best: dict[str, str] = {}

    def is_found(incumbent: Incumbent) -> bool:
        best[incumbent.target] = incumbent.sequence
        return goal.is_found(best)

    result = simulate(
        study,
        trainable,
        workers=1,
        sampler=method.make_sampler(study) if method.make_sampler else None,
        stop=is_found,
        max_steps=max_steps,
    )
    return float(result.counts.steps_trained) if goal.is_found(best) else math.inf
