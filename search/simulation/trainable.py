"""What a simulation asks in the place of training."""

from __future__ import annotations

from typing import Any, Protocol

from spaces.plan import TrialPlan
from spaces.planner import Planner


class SimulatedTrainable(Protocol):
    """What answers for training; ``trainables.tabular.TabularTrainable`` for instance."""

    @property
    def planner(self) -> Planner:
        """Makes the plans that it answers."""

    def run_rung(self, plan: TrialPlan, rung: int) -> dict[str, Any]:
        """Return what a trial reports at a rung, less its time.

        Raises:
            TrainingError: The trial fails, however often it is tried.
        """
