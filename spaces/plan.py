"""What a trial will do, resolved to the last number: the contract between search and trainables.

A ``TrialPlan`` is plain JSON-able data. The same plan drives the real trainable (it trains) and
the tabular one (it looks up), so the search stack never knows which it talks to.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from spaces.stages import Mixture


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of one training stage.

    Attributes:
        steps: Optimizer steps.
        batch_size: Examples a step, over all workers and accumulation steps.
        schedule: ``linear`` (to zero at ``steps``) or ``constant``, after a linear warm-up.
        seed: Seeds the new head, the order of the data and dropout.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_fraction: float
    schedule: str
    weight_decay: float
    max_grad_norm: float
    dropout: float
    seed: int

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of the 0-based ``step``: linear warm-up, then linear decay or constant."""
        warmup = round(self.steps * self.warmup_fraction)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * max(0.0, (self.steps - step) / max(1, self.steps - warmup))


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of a sequence: what to train from which parent, and its identity.

    Attributes:
        fingerprint: Identity of the checkpoint it makes.
        parent: Identity of the checkpoint it starts from (the base model's for the first stage).
        sequence: Text form of the prefix that ends with this stage.
        mixture: What the stage trains on.
    """

    fingerprint: str
    parent: str
    sequence: str
    mixture: Mixture
    settings: TrainSettings

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StagePlan:
        """Rebuild a stage's plan from ``asdict``'s data."""
        settings = TrainSettings(**data["settings"])
        mixture = Mixture.from_json(data["mixture"])
        return cls(**{**data, "mixture": mixture, "settings": settings})


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial: the stages to have, then the target's fine-tuning budgets.

    Attributes:
        trial_id: Number of the trial in the study.
        sequence: Text form of the sequence.
        target: Name of the target task.
        seed: Seed of every stage and of the fine-tuning.
        base: Identity of the base model.
        stages: The stages of the sequence, in order, and behind them those of the target's
            ``train_chain``.
        target_fingerprint: Identity of the fine-tuning (its states at each budget included).
        target_settings: Its settings; ``steps`` is the full budget.
        budgets: Steps at which it is evaluated, rising; the last is the full budget. ``(0,)`` for
            a target without training.
        model: Label of the model in the study.
    """

    trial_id: int
    sequence: str
    target: str
    seed: int
    base: str
    stages: tuple[StagePlan, ...]
    target_fingerprint: str
    target_settings: TrainSettings
    budgets: tuple[int, ...]
    model: str = ""

    @property
    def parent(self) -> str:
        """Identity of the checkpoint that fine-tuning starts from."""
        return self.stages[-1].fingerprint if self.stages else self.base

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrialPlan:
        """Rebuild a plan from ``to_json``'s data."""
        stages = tuple(StagePlan.from_json(stage) for stage in data["stages"])
        return cls(
            **{
                **data,
                "stages": stages,
                "target_settings": TrainSettings(**data["target_settings"]),
                "budgets": tuple(data["budgets"]),
            }
        )
