"""Which entries a trial still needs: what no eviction may take from it."""

from __future__ import annotations

from spaces.plan import TrialPlan
from trainables.progress import checkpoint_keys, progress_key
from trainables.storage.entries import EntryKey


def needs(plan: TrialPlan, stages_done: int, rungs_done: int) -> set[EntryKey]:
    """Return what a trial that is under way needs, and what it is about to make.

    A trial that waits for its promotion needs its last stage and the fine-tuning it would go on
    with; one that trains needs the stage it builds on. Stages that lie ahead count too: found in
    the store, they need not be trained; and so do the budgets that lie ahead, for a trial that goes
    on at once protects nothing anew. What is in flight has checkpoints.

    Args:
        plan: The trial's plan.
        stages_done: Stages it has.
        rungs_done: Budgets it has reached.
    """
    stages = plan.stages[max(0, stages_done - 1) :]
    ongoing = plan.budgets[max(0, rungs_done - 1) : -1]
    keys: set[EntryKey] = {("stages", stage.fingerprint) for stage in stages}
    keys.update(("progress", progress_key(plan, budget)) for budget in ongoing)
    in_flight = [
        *(stage.fingerprint for stage in plan.stages[stages_done:]),
        plan.target_fingerprint,
    ]
    keys.update(("progress", key) for one in in_flight for key in checkpoint_keys(one))
    return keys
