"""What work takes in virtual seconds, and when it goes wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from spaces.errors import InputError
from spaces.plan import TrialPlan

_HOUR_S = 3600.0

FaultKind = Literal["failure", "preemption"]


@dataclass(frozen=True)
class CostModel:
    """Virtual seconds of a trial's units of work.

    Attributes:
        step_s: Seconds of an optimizer step.
        task_step_s: The same for single tasks, intermediate or target, by name; a mixture takes
            the mean over its tasks.
        evaluation_s: Seconds of an evaluation, once a rung.
        orchestration_s: Seconds between a report and the worker's next unit of work, and before a
            trial's first; the worker is idle meanwhile.
    """

    step_s: float = 1.0
    task_step_s: Mapping[str, float] = field(default_factory=dict)
    evaluation_s: float = 0.0
    orchestration_s: float = 0.0

    def __post_init__(self) -> None:
        named = {"step_s": self.step_s, "evaluation_s": self.evaluation_s}
        named |= {"orchestration_s": self.orchestration_s}
        named |= {f"task_step_s.{task}": value for task, value in self.task_step_s.items()}
        _check(named)

    def stage_s(self, plan: TrialPlan, index: int, steps: int) -> float:
        """Return the seconds of training a plan's stage."""
        tasks = plan.stages[index].mixture.tasks
        return steps * math.fsum(self._step_s(task) for task in tasks) / len(tasks)

    def rung_s(self, plan: TrialPlan, steps: int) -> float:
        """Return the seconds of fine-tuning for some steps and evaluating."""
        return steps * self._step_s(plan.target) + self.evaluation_s

    def _step_s(self, task: str) -> float:
        return self.task_step_s.get(task, self.step_s)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cuts a unit of work short.

    Attributes:
        kind: ``failure`` (the trial's process dies) or ``preemption`` (its worker is taken away).
        after_s: Virtual seconds after the unit's start.
    """

    kind: FaultKind
    after_s: float


@dataclass(frozen=True)
class FaultModel:
    """Failures and pre-emptions, at constant rates while a worker works.

    Attributes:
        failures_per_hour: Of one worker. The unit is lost; the trial is tried again at once, at
            most ``search.max_failures`` times, then it has failed.
        preemptions_per_hour: Of one worker. The unit is lost and the worker is away for
            ``preemption_s``; the trial goes on elsewhere, and it is not held against it.
        preemption_s: Virtual seconds until a worker is back.
        seed: Seeds the faults, apart from the search. A fault depends on seed, trial, unit and
            attempt alone, so the same unit has the same fate on any number of workers.
    """

    failures_per_hour: float = 0.0
    preemptions_per_hour: float = 0.0
    preemption_s: float = 600.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check(
            {
                "failures_per_hour": self.failures_per_hour,
                "preemptions_per_hour": self.preemptions_per_hour,
                "preemption_s": self.preemption_s,
                "seed": self.seed,
            }
        )

    def fault(self, trial: int, unit: int, attempt: int, duration_s: float) -> Fault | None:
        """Return what cuts a unit short, if anything does.

        Args:
            trial: Number of the trial.
            unit: Units it has finished.
            attempt: How often this unit was cut short before.
            duration_s: Virtual seconds it would take.
        """
        rates = (self.failures_per_hour, self.preemptions_per_hour)
        if not any(rates) or duration_s <= 0:
            return None
        rng = np.random.default_rng([self.seed, trial, unit, attempt])
        hours = [draw / rate if rate else math.inf for draw, rate in zip(
            rng.standard_exponential(2), rates, strict=True)]  # fmt: skip
        after_s = float(min(hours)) * _HOUR_S
        if after_s >= duration_s:
            return None
        return Fault("failure" if hours[0] <= hours[1] else "preemption", after_s)


def _check(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name}: {value!r} must be a number, 0 or more.")
