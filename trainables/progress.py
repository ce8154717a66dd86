"""Fine-tunings between two rungs and stages in flight: under which keys they are in the store.

A target's fine-tuning is put into the store at every budget but the last, so that a trial which
waits for its promotion holds no slot. What is being trained, a stage or a target, is put there
every so many steps, in two places by turns: one of them is whole whenever the writer dies. Once a
trial is settled nobody continues any of it. No torch: the driver drops what pruned trials left.
"""

from __future__ import annotations

from spaces.plan import TrialPlan
from trainables.storage.entries import Entry, number
from trainables.store import StageStore


def progress_key(plan: TrialPlan, budget_steps: int) -> str:
    """Return the store's key of a trial's fine-tuning at a budget."""
    return f"{plan.target_fingerprint}-{budget_steps}"


def checkpoint_keys(fingerprint: str) -> tuple[str, str]:
    """Return the store's two keys of a training in flight, used by turns."""
    return f"{fingerprint}-live-0", f"{fingerprint}-live-1"


def latest_checkpoint(store: StageStore, fingerprint: str, until: int) -> Entry | None:
    """Return the furthest checkpoint of a training in flight; ``None`` if there is none.

    Args:
        store: The store.
        fingerprint: Identity of what is trained.
        until: Steps; one that has gone further is of no use.
    """
    found = [store.get("progress", key) for key in checkpoint_keys(fingerprint)]
    usable = [e for e in found if e is not None and number(e.metadata.get("steps")) <= until]
    return max(usable, key=lambda entry: number(entry.metadata.get("steps")), default=None)


def drop_checkpoints(store: StageStore, fingerprint: str) -> None:
    """Remove the checkpoints of a training that is done or given up."""
    for key in checkpoint_keys(fingerprint):
        store.drop("progress", key)


def drop_progress(store: StageStore, plan: TrialPlan, checkpoint_every: int | None = None) -> None:
    """Remove what a settled trial left half done; nothing happens if there is nothing.

    Args:
        store: The store.
        plan: The trial's plan.
        checkpoint_every: Steps between checkpoints; ``None`` if the study wants none.
    """
    for budget_steps in plan.budgets[:-1]:
        store.drop("progress", progress_key(plan, budget_steps))
    if checkpoint_every is None:
        return
    if plan.target_settings.steps > checkpoint_every:
        drop_checkpoints(store, plan.target_fingerprint)
    for stage in plan.stages:
        # Another trial may have a stage in flight that this one never finished.
        is_long = stage.settings.steps > checkpoint_every
        if is_long and store.get("stages", stage.fingerprint) is not None:
            drop_checkpoints(store, stage.fingerprint)
