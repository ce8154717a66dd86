"""Fine-tunings between two rungs: under which keys they are in the store, and when they go.

A target's fine-tuning is put into the store at every budget but the last, so that a trial which
waits for its promotion holds no slot. Once a trial is settled nobody continues it. No torch: the
driver drops what pruned trials left.
"""

from __future__ import annotations

from spaces.plan import TrialPlan
from trainables.store import StageStore


def progress_key(plan: TrialPlan, budget_steps: int) -> str:
    """Return the store's key of a trial's fine-tuning at a budget."""
    return f"{plan.target_fingerprint}-{budget_steps}"


def drop_progress(store: StageStore, plan: TrialPlan) -> None:
    """Remove a settled trial's fine-tunings from the store; nothing happens if there are none."""
    for budget_steps in plan.budgets[:-1]:
        store.drop("progress", progress_key(plan, budget_steps))
