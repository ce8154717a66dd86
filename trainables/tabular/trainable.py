"""The trainable's contract over a recorded table: units of work are looked up, not done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spaces.plan import TrialPlan
from spaces.study import Study
from trainables.tabular.planner import TabularPlanner
from trainables.tabular.table import RecordedTable


@dataclass(frozen=True)
class TabularTrainable:
    """Answers what a trial would report, at once.

    Attributes:
        planner: Makes the plans that it answers.
    """

    planner: TabularPlanner

    @classmethod
    def of(
        cls, study: Study, table: RecordedTable, *, shares_prefixes: bool = True
    ) -> TabularTrainable:
        """Make a trainable for a study.

        Args:
            study: The study.
            table: The recorded table.
            shares_prefixes: As ``TabularPlanner``.

        Raises:
            InputError: The study samples hyperparameters.
            DataError: The table lacks rows that the study may ask for.
        """
        return cls(TabularPlanner.of(study, table, shares_prefixes=shares_prefixes))

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the results has to know of the table, a line each."""
        confirm, seeds = self.planner.study.search.confirm, self.planner.table.seeds
        if not confirm.top or confirm.seeds < len(seeds):
            return ()
        return (
            f"seeds in the table: {len(seeds)}; the confirmation's {confirm.seeds} fresh seeds are "
            + (
                f"answered by {len(seeds) - 1}"
                if len(seeds) > 1
                else "answered by the search's own"
            ),
        )

    def run_rung(self, plan: TrialPlan, rung: int) -> dict[str, Any]:
        """Return what a trial reports at a rung.

        Returns:
            The fields of a real rung's report less its time: ``rung``, ``budget_steps``, ``score``
            (NaN if training diverged on record), ``scores`` (one row: a table has no scores by
            language) and ``steps_trained`` (the marginal cost).

        Raises:
            DataError: The row is not in the table.
        """
        budget = plan.budgets[rung]
        seed = self.planner.recorded_seed(plan.seed)
        score = self.planner.table.score(plan.sequence, plan.target, seed, budget)
        row = {
            "language": "all",
            "split": "dev",
            "metric": self.planner.tasks[plan.target].metric,
            "value": score,
            "num_examples": 0,
            "selected_on": True,
            "headline": True,
        }
        return {
            "rung": rung,
            "budget_steps": budget,
            "score": score,
            "scores": (row,),
            "steps_trained": budget - (plan.budgets[rung - 1] if rung else 0),
        }
