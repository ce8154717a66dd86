"""What a trial will do, resolved to the last number: the contract between search and trainables.

A ``TrialPlan`` is plain JSON-able data. The same plan drives the real trainable (it trains) and
the tabular one (it looks up), so the search stack never knows which it talks to.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from spaces.fingerprints import TRAINING_SEMANTICS_VERSION, fingerprint
from spaces.hyperparameters import Scope, scoped
from spaces.sequences import Sequence, Stage
from spaces.study import Study, TrainingSection
from spaces.tasks import Task


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
        tasks: Names of the stage's tasks.
    """

    fingerprint: str
    parent: str
    sequence: str
    tasks: tuple[str, ...]
    settings: TrainSettings

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StagePlan:
        """Rebuild a stage's plan from ``asdict``'s data."""
        settings = TrainSettings(**data["settings"])
        return cls(**{**data, "tasks": tuple(data["tasks"]), "settings": settings})


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial: the stages to have, then the target's fine-tuning budgets.

    Attributes:
        trial_id: Number of the trial in the study.
        sequence: Text form of the sequence.
        target: Name of the target task.
        seed: Seed of every stage and of the fine-tuning.
        base: Identity of the base model.
        stages: The stages of the sequence, in order.
        target_fingerprint: Identity of the fine-tuning (its states at each budget included).
        target_settings: Its settings; ``steps`` is the full budget.
        budgets: Steps at which it is evaluated, rising; the last is the full budget. ``(0,)`` for
            a target without training.
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


@dataclass(frozen=True, slots=True)
class TaskData:
    """What planning needs to know of a task's training set.

    Attributes:
        num_examples: Training examples.
        fingerprint: Identity of the records.
    """

    num_examples: int
    fingerprint: str


@dataclass(frozen=True)
class Planner:
    """Turns (sequence, target, hyperparameters, seed) into a ``TrialPlan``.

    Attributes:
        study: The study.
        tasks: Every task of the study by name.
        data: Training data of every task of the study by name.
        base: Identity of the base model.
    """

    study: Study
    tasks: dict[str, Task]
    data: dict[str, TaskData]
    base: str
    _stage_plans: dict[tuple[Any, ...], StagePlan] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def plan(
        self,
        trial_id: int,
        sequence: Sequence,
        target: str,
        *,
        seed: int,
        hyperparameters: dict[str, Any] | None = None,
    ) -> TrialPlan:
        """Resolve one trial."""
        values = {**self._fixed_hyperparameters(), **(hyperparameters or {})}
        stages = self.stages(sequence, seed=seed, hyperparameters=values)
        parent = stages[-1].fingerprint if stages else self.base
        task = self.tasks[target]
        settings = self._settings("target", (target,), values, seed)
        identity = fingerprint(
            {
                "kind": "target",
                "semantics": TRAINING_SEMANTICS_VERSION,
                "parent": parent,
                "task": self._task_identity(target),
                "settings": asdict(settings),
                "training": _shared_settings(self.study.training),
            }
        )
        return TrialPlan(
            trial_id=trial_id,
            sequence=str(sequence),
            target=target,
            seed=seed,
            base=self.base,
            stages=stages,
            target_fingerprint=identity,
            target_settings=settings,
            budgets=self.budgets(settings.steps) if task.trains else (0,),
        )

    def stages(
        self, sequence: Sequence, *, seed: int, hyperparameters: dict[str, Any] | None = None
    ) -> tuple[StagePlan, ...]:
        """Resolve the stages of a sequence; each fingerprint is chained to its parent's."""
        values = {**self._fixed_hyperparameters(), **(hyperparameters or {})}
        plans: list[StagePlan] = []
        parent = self.base
        scope = tuple(sorted(scoped(values, "stage").items()))
        for prefix in sequence.prefixes():
            # A prefix is the same stage in every sequence and for every target: planned once.
            key = (str(prefix), seed, scope)
            if key not in self._stage_plans:
                plan = self._stage(prefix, prefix.stages[-1], parent, values, seed)
                self._stage_plans[key] = plan
            plans.append(self._stage_plans[key])
            parent = plans[-1].fingerprint
        return tuple(plans)

    def _stage(
        self, prefix: Sequence, stage: Stage, parent: str, values: dict[str, Any], seed: int
    ) -> StagePlan:
        settings = self._settings("stage", stage.tasks, values, seed)
        identity = fingerprint(
            {
                "kind": "stage",
                "semantics": TRAINING_SEMANTICS_VERSION,
                "parent": parent,
                "tasks": [self._task_identity(name) for name in stage.tasks],
                "settings": asdict(settings),
                "training": _shared_settings(self.study.training),
            }
        )
        return StagePlan(identity, parent, str(prefix), stage.tasks, settings)

    def budgets(self, steps: int) -> tuple[int, ...]:
        """Steps at which the target is evaluated, the full budget last.

        Without explicit rungs the budgets fall by the reduction factor from the full one.
        """
        asha = self.study.search.asha
        if asha is None:
            return (steps,)
        if asha.rungs:
            return (*(rung for rung in asha.rungs if rung < steps), steps)
        eta = asha.reduction_factor
        return tuple(sorted({max(1, math.ceil(steps / eta**k)) for k in range(asha.num_rungs)}))

    def _settings(
        self, scope: Scope, names: tuple[str, ...], values: dict[str, Any], seed: int
    ) -> TrainSettings:
        training = self.study.training
        overrides = training.stage if scope == "stage" else training.target
        tasks = [self.tasks[name] for name in names]
        given = {
            **training.model_dump(include=set(type(overrides).model_fields), exclude_none=True),
            **overrides.model_dump(exclude_none=True),
            **scoped(values, scope),
        }
        batch_size = int(given["batch_size"])
        if given.get("max_steps") is not None:
            # A mixture gets each task's steps: all tasks at once cost what they cost apart.
            steps = int(given["max_steps"]) * len(names)
        else:
            steps = sum(
                math.ceil(self.data[t.name].num_examples * given.get("epochs", t.epochs))
                for t in tasks
            )
            steps = max(1, math.ceil(steps / batch_size))
        return TrainSettings(
            steps=steps,
            batch_size=batch_size,
            learning_rate=float(
                given.get("learning_rate", sum(t.learning_rate for t in tasks) / len(tasks))
            ),
            warmup_fraction=float(given["warmup_fraction"]),
            schedule=str(given["schedule"]),
            weight_decay=float(given["weight_decay"]),
            max_grad_norm=float(given["max_grad_norm"]),
            dropout=float(given["dropout"]),
            seed=seed,
        )

    def _task_identity(self, name: str) -> dict[str, Any]:
        return {"task": self.tasks[name].identity, "data": self.data[name].fingerprint}

    def _fixed_hyperparameters(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.study.hyperparameters.items()
            if isinstance(value, int | float | str)
        }


def _shared_settings(training: TrainingSection) -> dict[str, Any]:
    return training.model_dump(mode="json", include={"precision", "max_train_examples"})
