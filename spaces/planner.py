"""Resolves (sequence, target, hyperparameters, seed) into a ``TrialPlan``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spaces.fingerprints import TRAINING_SEMANTICS_VERSION, fingerprint
from spaces.hyperparameters import Scope, scoped
from spaces.plan import StagePlan, TrainSettings, TrialPlan
from spaces.sequences import Sequence, Stage
from spaces.stage_names import resolve_stage
from spaces.stages import Mixture, Stream
from spaces.study import Study, TrainingOverrides, TrainingSection
from spaces.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskData:
    """What planning needs to know of a stream of training examples.

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
        tasks: Tasks by name; those of the study at least.
        data: Training data of every stream of the study, by its text form (``mnli``).
        base: Identity of the base model.
        others: Planners of a study's further models, by label.
    """

    study: Study
    tasks: Mapping[str, Task]
    data: Mapping[str, TaskData]
    base: str
    others: Mapping[str, Planner] = field(default_factory=dict, repr=False)
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
        model: str = "",
    ) -> TrialPlan:
        """Resolve one trial; ``model`` is the label of its model, the planner's own if empty."""
        if model in self.others:
            return self.others[model].plan(
                trial_id, sequence, target, seed=seed, hyperparameters=hyperparameters, model=model
            )
        values = {**self._fixed_hyperparameters(), **(hyperparameters or {})}
        stages = self.stages(self.chained(sequence, target), seed=seed, hyperparameters=values)
        parent = stages[-1].fingerprint if stages else self.base
        task = self.tasks[target]
        mixture = Mixture.of(target)
        settings = self._settings("target", mixture, values, seed)
        identity = fingerprint(
            {
                "kind": "target",
                "semantics": TRAINING_SEMANTICS_VERSION,
                "parent": parent,
                "mixture": self._mixture_identity(mixture),
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
            model=model,
        )

    def chained(self, sequence: Sequence, target: str) -> Sequence:
        """Return the sequence with the target's ``train_chain`` behind it.

        A task of the chain that the sequence already trains on is not trained on again.
        """
        held = {task for stage in sequence.stages for task in self._resolve(stage)[0].tasks}
        chain = (task for task in self.tasks[target].train_chain if task not in held)
        return Sequence((*sequence.stages, *(Stage((task,)) for task in chain)))

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
        mixture, overrides = self._resolve(stage)
        settings = self._settings("stage", mixture, values, seed, overrides)
        identity = fingerprint(
            {
                "kind": "stage",
                "semantics": TRAINING_SEMANTICS_VERSION,
                "parent": parent,
                "mixture": self._mixture_identity(mixture),
                "settings": asdict(settings),
                "training": _shared_settings(self.study.training),
            }
        )
        return StagePlan(identity, parent, str(prefix), mixture, settings)

    def _resolve(self, stage: Stage) -> tuple[Mixture, TrainingOverrides]:
        return resolve_stage(self.study.intermediate, self.tasks, stage)

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
        self,
        scope: Scope,
        mixture: Mixture,
        values: dict[str, Any],
        seed: int,
        own: TrainingOverrides | None = None,
    ) -> TrainSettings:
        training = self.study.training
        overrides = training.stage if scope == "stage" else training.target
        own_values = own.model_dump(exclude_none=True) if own else {}
        given = {
            **training.model_dump(include=set(type(overrides).model_fields), exclude_none=True),
            **overrides.model_dump(exclude_none=True),
            **scoped(values, scope),
            **own_values,
        }
        tasks = [self.tasks[stream.task] for stream in mixture.streams]
        batch_size = int(given["batch_size"])
        if "max_steps" in own_values or (given.get("max_steps") and "epochs" not in own_values):
            # A mixture gets each task's steps: all tasks at once cost what they cost apart. A
            # stage's own budget is the whole stage's.
            steps = int(given["max_steps"])
            if "max_steps" not in own_values:
                steps = self._with_mlm(steps * len(tasks), mixture)
        else:
            examples = sum(
                math.ceil(
                    mixture.counted(self.data[str(stream)].num_examples)
                    * given.get("epochs", self.tasks[stream.task].epochs)
                )
                for stream in mixture.streams
            )
            steps = self._with_mlm(max(1, math.ceil(examples / batch_size)), mixture)
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

    def _with_mlm(self, steps: int, mixture: Mixture) -> int:
        """Return the steps of a stage whose tasks take ``steps``: the text's come on top."""
        return math.ceil(round(steps / (1 - mixture.mlm_share), 6)) if mixture.mlm else steps

    def _mixture_identity(self, mixture: Mixture) -> dict[str, Any]:
        def identity(stream: Stream) -> dict[str, Any]:
            return {
                "task": self.tasks[stream.task].identity,
                "data": self.data[str(stream)].fingerprint,
                "languages": list(stream.languages),
                "max_examples": stream.max_examples,
            }

        return {
            **asdict(mixture),
            "streams": [identity(stream) for stream in mixture.streams],
            "mlm": [identity(stream) for stream in mixture.mlm],
        }

    def _fixed_hyperparameters(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.study.hyperparameters.items()
            if isinstance(value, int | float | str)
        }


def _shared_settings(training: TrainingSection) -> dict[str, Any]:
    return training.model_dump(mode="json", include={"precision", "max_train_examples"})
