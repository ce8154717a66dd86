"""Our search, and our search less one idea at a time, on a recorded table."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pandas as pd

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
        similarity: ``given``: the benchmark's table of similarities, if it has one; ``none``; or
            ``useless``: values drawn at random for every search.
    """

    says: str
    search: Mapping[str, Any] = field(default_factory=dict)
    shares_prefixes: bool = True
    make_sampler: Callable[[Study], optuna.samplers.BaseSampler] | None = None
    similarity: Literal["given", "none", "useless"] = "given"


#: Differs from ours only where the benchmark is given a table of similarities.
NO_SIMILARITY = "no-similarity"

METHODS: dict[str, Method] = {
    "ours": Method("ours: surrogate, sharing, ASHA, cost"),
    "no-sharing": Method("ours less sharing of stages", shares_prefixes=False),
    "no-surrogate": Method(
        "ours less the surrogate (random, sharing, ASHA)", {"sampler": "random"}
    ),
    NO_SIMILARITY: Method("ours less similarity", similarity="none"),
    "useless-similarity": Method("ours with a similarity without worth", similarity="useless"),
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
    with tempfile.TemporaryDirectory() as folder:
        similarity = goal.similarity if method.similarity == "given" else None
        if method.similarity == "useless":
            similarity = str(Path(folder) / "similarity.csv")
            useless_similarity(goal, seed).to_csv(similarity, index=False)
        study = goal.study(seed, similarity=similarity, **method.search)
        return _steps(goal, method, study, max_steps)


def useless_similarity(goal: Goal, seed: int) -> pd.DataFrame:
    """Draw a table as ``taskorder similarity`` writes it: noise for every task and target."""
    rng = np.random.default_rng([seed, 1])
    pairs = itertools.product(goal.tasks, goal.table.targets)
    return pd.DataFrame(
        [("source_target", *pair, "drawn", float(rng.standard_normal())) for pair in pairs],
        columns=["kind", "source", "target", "measure", "value"],
    )


def _steps(goal: Goal, method: Method, study: Study, max_steps: int) -> float:
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
