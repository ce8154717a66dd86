"""The study file's schema: every section, key, type, default and bound.

``spaces.study`` reads studies and checks what goes beyond one value.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from spaces.arm_sections import ArmSection, check_labels, fill_in_arms
from spaces.hyperparameters import Distribution, Value
from spaces.model_sections import DeepSpeedSection, ModelEntry, ModelSection
from spaces.report_sections import ReportSection
from spaces.sequences import SequenceSpace
from spaces.stage_sections import Section, StageSection, TrainingOverrides, named
from spaces.tasks import Catalogue, load_catalogue


class IntermediateSection(Section):
    """The stages whose ordered subsets are searched, and the longest sequence.

    Attributes:
        tasks: Names of intermediate tasks, or of entries of ``stages``.
        max_length: Longest sequence, in stages; of fewer than three tasks, all of them by default.
        stages: Named stages that are more than one whole task: mixtures, tasks in other languages,
            slices, masked-language-model terms.
    """

    tasks: tuple[str, ...] = Field(min_length=1)
    max_length: int = Field(default=3, ge=0)
    stages: dict[str, StageSection] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _no_longer_than_its_tasks(cls, value: Any) -> Any:
        tasks = value.get("tasks") if isinstance(value, dict) else None
        if not isinstance(tasks, list | tuple) or "max_length" in value:
            return value
        return {**value, "max_length": min(cls.model_fields["max_length"].default, len(tasks))}


class TargetSection(Section):
    """One target; ``languages`` narrows the evaluation to some of its languages."""

    name: str
    languages: tuple[str, ...] = ()


class TrainingSection(TrainingOverrides):
    """How stages and targets are trained.

    ``max_steps`` wins over ``epochs``; with neither, the task's published epochs hold. Batch sizes
    are effective (over all workers and accumulation steps).

    Attributes:
        precision: ``fp32``, ``bf16``, or ``auto``: bf16 where the worker's device has it.
        micro_batch_size: Most examples in one forward pass on one worker.
        activation_checkpointing: Compute activations again for the backward pass: less memory,
            about a third more time.
        torch_compile: Compile the encoder, minutes of work that pay where there is hardly any
            padding: batches are padded then.
        max_length: Cut every task's longest input to so many subwords.
        max_train_examples: Use only the first so many training examples of each task.
        max_eval_examples: Evaluate on the first so many examples of each language.
        save_predictions: Write every trial's predictions on the test sets, blank ones included, in
            XTREME's submission layout.
        stage, target: Overrides for intermediate stages and for target fine-tuning.
    """

    batch_size: int = Field(default=32, ge=1)
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    schedule: Literal["linear", "constant"] = "linear"
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    micro_batch_size: int | None = Field(default=None, ge=1)
    activation_checkpointing: bool = False
    torch_compile: bool = False
    max_length: int | None = Field(default=None, ge=16)
    max_train_examples: int | None = Field(default=None, ge=1)
    max_eval_examples: int | None = Field(default=None, ge=1)
    eval_batch_size: int = Field(default=64, ge=1)
    save_predictions: bool = False
    stage: TrainingOverrides = TrainingOverrides()
    target: TrainingOverrides = TrainingOverrides()


class ResourcesSection(Section):
    """What one trial holds while it runs."""

    workers_per_trial: int = Field(default=1, ge=1)
    cpus_per_worker: float = Field(default=1, gt=0)
    gpus_per_worker: float = Field(default=0, ge=0)


class AshaSection(Section):
    """Asynchronous successive halving over target budgets.

    Attributes:
        reduction_factor: Keep the best 1/eta of a rung (eta of the paper).
        num_rungs: Number of rungs; budgets fall by the reduction factor from the full budget.
        rungs: Explicit budgets in steps, rising; the last is the full budget.
        brackets: Trials are dealt over so many brackets; those of bracket s are ranked from rung s
            on (s of the paper), so that a low budget that misleads does not end them all.
    """

    reduction_factor: int = Field(default=3, ge=2)
    num_rungs: int = Field(default=3, ge=1)
    rungs: tuple[int, ...] = ()
    brackets: int = Field(default=1, ge=1)

    @property
    def most_rungs(self) -> int:
        """Rungs of a target that has all of them."""
        return len(self.rungs) or self.num_rungs

    @model_validator(mode="after")
    def _within_the_rungs(self) -> AshaSection:
        if self.brackets > self.most_rungs:
            raise ValueError(
                f"brackets is {self.brackets} and there are {self.most_rungs} rungs; a bracket "
                "starts at each rung at most"
            )
        return self

    @field_validator("rungs")
    @classmethod
    def _rising(cls, rungs: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in itertools.pairwise(rungs)) or (rungs and rungs[0] < 1):
            raise ValueError("budgets must rise and be at least 1 step")
        return rungs


class ConfirmSection(Section):
    """How many of the best sequences per target are run again, on how many fresh seeds."""

    top: int = Field(default=3, ge=0)
    seeds: int = Field(default=3, ge=1)


class SearchSection(Section):
    """The search's budget and method.

    Attributes:
        num_trials: Trials the sampler may suggest, baselines and confirmation apart.
        max_concurrent: Trials at a time; ``auto`` fills the cluster.
        sampler: A key of ``search.samplers.SAMPLERS``.
        similarity: Table of ``taskorder similarity``, for the samplers that can use one.
        asha: Pruning, or ``null`` for none.
        confirm: Confirmation on fresh seeds.
        baselines: Whether the empty sequence, each single task and all tasks at once are run.
        max_failures: Times a failing trial is tried again before it is told FAILED.
    """

    num_trials: int = Field(default=100, ge=0)
    max_concurrent: int | Literal["auto"] = "auto"
    sampler: str = "sequence"
    similarity: str | None = None
    asha: AshaSection | None = AshaSection()
    confirm: ConfirmSection = ConfirmSection()
    baselines: bool = True
    max_failures: int = Field(default=2, ge=0)

    @field_validator("max_concurrent")
    @classmethod
    def _at_least_one(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 1:
            raise ValueError("must be at least 1, or auto")
        return value


class StorageSection(Section):
    """Where checkpoints and the Optuna study live; inside the run directory by default.

    Attributes:
        stages: Folder or fsspec URL of the stage store.
        optuna: Optuna storage URL (``postgresql://...``); ``optuna.db`` in the run directory when
            empty.
        cache: Folder of the tokenised training sets, on storage that the workers share where it
            can be; the user's cache folder when empty.
        max_size_gb: Largest size of the stage store: what is cheapest to rebuild makes room, never
            what a trial under way needs.
        checkpoint_every_steps: Steps after which a stage in flight is stored with its optimizer, so
            that a killed one goes on from there; ``null`` for never.
    """

    stages: str | None = None
    optuna: str | None = None
    cache: str | None = None
    max_size_gb: float | None = Field(default=None, gt=0)
    checkpoint_every_steps: int | None = Field(default=1000, ge=1)

    @field_validator("optuna")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and "://" not in value:
            raise ValueError(
                "should be the URL of a database that Optuna knows, such as "
                "postgresql://user@host/name or sqlite:////folder/optuna.db"
            )
        return value

    @property
    def cache_dir(self) -> Path | None:
        """Folder of the tokenised training sets, absolute; ``None`` for the user's cache folder."""
        return Path(self.cache).expanduser().resolve() if self.cache else None


#: Research questions that a report can answer; ``analysis.questions`` does.
Question = Literal[
    "task-order", "morphology", "multilingual-tydiqa", "low-resource-mlm", "model-size", "stilts"
]


class Study(Section):
    """A whole study file.

    Attributes:
        model: The model, or the first of ``models``: the one that is searched with.
        models: Several models by labels of the study's own, in the place of ``model``.
        arms: Named sets of sequences, run beside the search or instead of it.
        arm_seeds: How many seeds the arms run on, from ``seed`` on, or the seeds themselves.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    question: Question | None = None
    model: ModelSection
    models: dict[str, ModelEntry] = Field(default_factory=dict)
    intermediate: IntermediateSection
    targets: tuple[TargetSection, ...] = Field(min_length=1)
    arms: dict[str, ArmSection] = Field(default_factory=dict)
    arm_seeds: int | tuple[int, ...] = 3
    objective: Literal["per_target", "average"] = "per_target"
    select_on: Literal["english_dev", "target_dev"] = "target_dev"
    seed: int = Field(default=0, ge=0)
    hyperparameters: dict[str, Distribution | Value] = Field(default_factory=dict)
    training: TrainingSection = TrainingSection()
    deepspeed: DeepSpeedSection | str = DeepSpeedSection()
    resources: ResourcesSection = ResourcesSection()
    search: SearchSection = SearchSection()
    storage: StorageSection = StorageSection()
    report: ReportSection = ReportSection()
    task_folders: tuple[str, ...] = ()

    @field_validator("targets", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return named(value, "name")

    @model_validator(mode="before")
    @classmethod
    def _arms_alone(cls, value: Any) -> Any:
        return fill_in_arms(value) if isinstance(value, dict) else value

    @model_validator(mode="before")
    @classmethod
    def _first_model(cls, value: Any) -> Any:
        models = value.get("models") if isinstance(value, dict) else None
        first = next(iter(models.values()), None) if isinstance(models, dict) else None
        if not isinstance(first, dict) or value.get("model") is not None:
            return value
        names = ModelSection.model_fields
        return {**value, "model": {k: v for k, v in first.items() if k in names}}

    @model_validator(mode="after")
    def _model_or_models(self) -> Study:
        first = next(iter(self.models.values()), None)
        if first is not None and first.section != self.model:
            raise ValueError(
                "model and models are both given. Put every model into models, each by a label."
            )
        return self

    @field_validator("arms", "models")
    @classmethod
    def _words(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_labels(value)
        return value

    @field_validator("arm_seeds")
    @classmethod
    def _some_seeds(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        given = value if isinstance(value, tuple) else (value - 1,)
        if not given or min(given) < 0 or len(set(given)) < len(given):
            raise ValueError("should be a number of seeds, 1 or more, or a list of distinct ones")
        return value

    @property
    def space(self) -> SequenceSpace:
        """The ordered subsets this study searches."""
        return SequenceSpace(self.intermediate.tasks, self.intermediate.max_length)

    def catalogue(self) -> Catalogue:
        """The built-in tasks and those of ``task_folders``, inputs cut to ``max_length``."""
        catalogue = load_catalogue(self.task_folders)
        limit = self.training.max_length
        return catalogue if limit is None else catalogue.cut(limit)
