"""A trial's stages as the store has them: which are there, which have to be trained again.

A stage's checkpoint stands for all that lies before it, so what matters is the furthest stage that
is there. No torch: driver and trainable ask the same questions.
"""

from __future__ import annotations

from spaces.plan import StagePlan, TrialPlan
from spaces.reports import StageReport
from trainables.storage.entries import number
from trainables.store import StageStore


def num_lost(store: StageStore, plan: TrialPlan, stages_done: int) -> int:
    """Return how many of a trial's last stages the store has lost, so that it cannot go on.

    Args:
        store: The store.
        plan: The trial's plan.
        stages_done: Stages it has.
    """
    if not stages_done:
        return 0
    for index in range(min(stages_done, len(plan.stages) - 1), -1, -1):
        if store.get("stages", plan.stages[index].fingerprint) is not None:
            return max(0, stages_done - 1 - index)
    return stages_done


def found_stage(store: StageStore, plan: TrialPlan, index: int) -> StageReport | None:
    """Return the report of a stage that need not be trained; ``None`` if it has to be.

    It is in the store; or it was, and made room, and a later stage of the trial is there.

    Args:
        store: The store.
        plan: The trial's plan.
        index: Which of its stages.
    """
    stage = plan.stages[index]
    entry = store.get("stages", stage.fingerprint)
    if entry is not None:
        return _reused(stage, entry.metadata, entry.size_bytes)
    gone = store.tombstone("stages", stage.fingerprint)
    if gone is None or not is_spared(store, plan, index):
        return None
    return _reused(stage, gone.metadata, gone.size_bytes)


def is_spared(store: StageStore, plan: TrialPlan, index: int) -> bool:
    """Whether a stage that is not there need not be trained: it was evicted, a later one is there.

    Args:
        store: The store.
        plan: The trial's plan.
        index: Which of its stages.
    """
    if store.tombstone("stages", plan.stages[index].fingerprint) is None:
        return False
    later = plan.stages[index + 1 :]
    return any(store.get("stages", stage.fingerprint) is not None for stage in later)


def _reused(stage: StagePlan, metadata: dict[str, object], size_bytes: int) -> StageReport:
    return StageReport(
        fingerprint=stage.fingerprint,
        parent=stage.parent,
        sequence=stage.sequence,
        steps=stage.settings.steps,
        wall_s=number(metadata.get("wall_s")),
        size_bytes=size_bytes,
        reused=True,
        run=str(metadata.get("run", "")),
    )
