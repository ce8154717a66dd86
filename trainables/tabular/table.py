"""A recorded table in memory: what training would have come to, by lookup.

A row is one sequence, target, seed and budget: the score there, and what the sequence's last stage
costs. Every lookup is one access to a dictionary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from spaces.errors import DataError

#: (text form of the sequence, target, seed, budget in steps).
Key = tuple[str, str, int, int]

#: Missing rows that a message lists.
_LISTED = 3


@dataclass(frozen=True)
class RecordedTable:
    """Scores and costs by sequence, target, seed and budget.

    Attributes:
        origin: Where it came from, for messages.
        scores: Score (points; NaN where training diverged) by key.
        stage_steps: Steps of a sequence's last stage, by the sequence's text form.
        targets: The targets, in order of first appearance.
        seeds: The recorded seeds, rising.
    """

    origin: str
    scores: Mapping[Key, float] = field(repr=False)
    stage_steps: Mapping[str, int] = field(repr=False)
    targets: tuple[str, ...] = field(init=False)
    seeds: tuple[int, ...] = field(init=False)
    _budgets: Mapping[str, tuple[int, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        budgets: dict[str, set[int]] = {}
        for _, target, _, budget in self.scores:
            budgets.setdefault(target, set()).add(budget)
        set_ = object.__setattr__
        set_(self, "_budgets", {name: tuple(sorted(found)) for name, found in budgets.items()})
        set_(self, "targets", tuple(budgets))
        set_(self, "seeds", tuple(sorted({key[2] for key in self.scores})))

    @property
    def sequences(self) -> tuple[str, ...]:
        """Text forms of the recorded sequences, in order of first appearance."""
        return tuple(self.stage_steps)

    def budgets(self, target: str) -> tuple[int, ...]:
        """Return the budgets that are recorded for a target, rising; the last is the full one.

        Raises:
            DataError: The table has no row of this target.
        """
        if target not in self._budgets:
            raise DataError(
                f"{self.origin}: no row of target {target!r}; it holds {', '.join(self.targets)}. "
                "Record the target, or take it out of the study."
            )
        return self._budgets[target]

    def score(self, sequence: str, target: str, seed: int, budget_steps: int) -> float:
        """Return a score.

        Raises:
            DataError: The row is missing.
        """
        try:
            return self.scores[sequence, target, seed, budget_steps]
        except KeyError:
            raise self._missing([(sequence, target, seed, budget_steps)], 1) from None

    def steps(self, sequence: str) -> int:
        """Return the steps of a sequence's last stage.

        Raises:
            DataError: The sequence is not in the table.
        """
        try:
            return self.stage_steps[sequence]
        except KeyError:
            raise DataError(
                f"{self.origin}: no row of sequence {sequence!r}, so the cost of its last stage is "
                "unknown. Record it, or narrow the study to what the table holds."
            ) from None

    def require(self, keys: Iterable[Key]) -> None:
        """Check that rows are there.

        Raises:
            DataError: Some are not; the message lists the first and counts them.
        """
        missing: list[Key] = []
        count = 0
        for key in keys:
            if key not in self.scores:
                count += 1
                if count <= _LISTED:
                    missing.append(key)
        if missing:
            raise self._missing(missing, count)

    def mean_score(self, sequence: str, target: str) -> float:
        """Return the mean over the recorded seeds at the target's full budget.

        Raises:
            DataError: A row is missing.
        """
        budget = self.budgets(target)[-1]
        scores = [self.score(sequence, target, seed, budget) for seed in self.seeds]
        return math.fsum(scores) / len(scores)

    def _missing(self, first: list[Key], count: int) -> DataError:
        shown = "; ".join(
            f"sequence {sequence!r}, target {target!r}, seed {seed}, budget_steps {budget}"
            for sequence, target, seed, budget in first
        )
        more = f" and {count - len(first):,} more" if count > len(first) else ""
        rows = "a row is" if count == 1 else f"{count:,} rows are"
        return DataError(
            f"{self.origin}: {rows} missing that the study needs: {shown}{more}. Record them, or "
            "narrow the study (intermediate.tasks, intermediate.max_length, targets, search.asha, "
            "search.baselines, search.confirm) to what the table holds."
        )
