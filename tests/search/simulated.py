"""Studies simulated on tables that record a function: what tests of the simulator share."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from search.simulation import (
    SimulationResult,
    simulate,
)
from spaces.sequences import Stage
from spaces.study import Study
from tests.search.executor import make_study, smooth_scores
from trainables.tabular import RecordedTable, TabularTrainable

#: Steps of a stage, by task.
STEPS = {"mnli": 10, "qqp": 20, "squad1": 30}

Scores = Callable[[str, str, int, int], float]


def table_of(
    study: Study, scores: Scores = smooth_scores, *, seeds: int = 1, full: int = 9
) -> RecordedTable:
    """Record a function as a table: targets at 1, 3 and 9 steps, or at ``full`` and its thirds."""
    texts = [str(sequence) for sequence in study.space.enumerate()]
    texts = [*dict.fromkeys((*texts, *study.space.tasks))]
    steps = {text: STEPS[text.rpartition(">")[2]] if text else 0 for text in texts}
    if len(study.space.tasks) > 1:
        steps[str(Stage(study.space.tasks))] = sum(STEPS[task] for task in study.space.tasks)
    budgets = [full // 9, full // 3, full]
    return RecordedTable(
        "test",
        {
            (text, target.name, seed, budget): scores(text, target.name, seed, rung)
            for text, target, seed in itertools.product(steps, study.targets, range(seeds))
            for rung, budget in enumerate(budgets)
        },
        steps,
    )


def run(study: Study, scores: Scores = smooth_scores, **settings: Any) -> SimulationResult:
    trainable = TabularTrainable.of(study, table_of(study, scores, seeds=3))
    return simulate(study, trainable, **{"workers": 2, **settings})


def baselines_only(*overrides: str, **content: Any) -> Study:
    """Baselines alone, which run in a fixed order and to the full budget: tasks of 10 and 20."""
    return make_study(
        "search.num_trials=0",
        "search.confirm.top=0",
        *overrides,
        **{"intermediate": {"tasks": ["mnli", "qqp"], "max_length": 1}, "targets": ["xnli"]}
        | content,
    )
