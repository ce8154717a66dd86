"""The study file's schema: every section, key, type, default and bound.

``spaces.study`` reads studies and checks what goes beyond one value.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from spaces.hyperparameters import Distribution, Value
from spaces.sequences import SequenceSpace
from spaces.tasks import Catalogue, load_catalogue


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _named(value: Any, key: str) -> Any:
    """Let a text in a list stand for a mapping with that ``key`` alone."""
    if isinstance(value, list | tuple):
        return [{key: item} if isinstance(item, str) else item for item in value]
    return value


class Pretraining(_Section):
    """Masked-language-model training of a ``scratch`` model on the study's own text."""

    steps: int = Field(default=300, ge=0)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    max_sentences_per_language: int = Field(default=4000, ge=1)


class ModelSection(_Section):
    """The encoder every sequence starts from.

    Attributes:
        name: A hub id (``FacebookAI/xlm-roberta-large``), a local Hugging Face folder, ``mini``
            (the built-in model), or ``scratch`` (a small XLM-R with a tokenizer trained on the
            study's own text).
        revision: Hub revision; part of the model's identity.
        hidden_size, num_layers, num_heads, vocab_size, pretraining: Of a ``scratch`` model only.
    """

    name: str
    revision: str | None = None
    hidden_size: int = Field(default=128, ge=8)
    num_layers: int = Field(default=2, ge=1)
    num_heads: int = Field(default=4, ge=1)
    vocab_size: int = Field(default=8000, ge=300)
    pretraining: Pretraining = Pretraining()

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> ModelSection:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}"
            )
        return self


class TrainingOverrides(_Section):
    """Settings of one scope; what is left out comes from ``training`` or from the task."""

    max_steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    warmup_fraction: float | None = Field(default=None, ge=0, le=1)
    schedule: Literal["linear", "constant"] | None = None
    weight_decay: float | None = Field(default=None, ge=0)
    max_grad_norm: float | None = Field(default=None, gt=0)
    dropout: float | None = Field(default=None, ge=0, lt=1)


class StreamSection(_Section):
    """A task inside a stage, in given languages and cut to a size.

    Attributes:
        task: A task of the catalogue.
        languages: Languages or language groups of its training sets, which are put together; its
            own training language when empty.
        max_examples: Use the first so many examples of each language.
    """

    task: str
    languages: tuple[str, ...] = ()
    max_examples: int | None = Field(default=None, ge=1)


class Sampling(_Section):
    """How often each task of a mixture has its turn: ``min(size, cap) ** (1 / temperature)``.

    In a study file also ``proportional`` (temperature 1) or ``uniform`` (temperature ``null``:
    equal rates, whatever the sizes).
    """

    temperature: float | None = Field(default=1.0, ge=1)
    cap: int | None = Field(default=None, ge=1)


class MlmSection(_Section):
    """Masked-language-model training mixed into a stage.

    Attributes:
        tasks: Raw-text tasks; a name alone stands for the whole task.
        share: Their part of the stage's steps, added to the steps of its tasks.
    """

    tasks: tuple[StreamSection, ...] = Field(min_length=1)
    share: float = Field(default=0.2, gt=0, lt=1)

    @field_validator("tasks", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return _named(value, "task")


class StageSection(_Section):
    """A stage that is more than one whole task in its own language.

    ``{task: tydiqa, languages: [ar, fi]}`` is short for a single entry of ``tasks``.

    Attributes:
        tasks: Its tasks; several are trained as a mixture.
        sampling: How often each has its turn.
        mlm: Masked-language-model training mixed in.
        training: Settings of this stage alone; its ``max_steps`` are those of the whole stage.
    """

    tasks: tuple[StreamSection, ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    mlm: MlmSection | None = None
    training: TrainingOverrides = TrainingOverrides()

    @model_validator(mode="before")
    @classmethod
    def _one_task(cls, value: Any) -> Any:
        if isinstance(value, dict) and "task" in value and "tasks" not in value:
            keys = ("task", "languages", "max_examples")
            entry = {key: value[key] for key in keys if key in value}
            return {**{k: v for k, v in value.items() if k not in keys}, "tasks": [entry]}
        return value

    @field_validator("tasks", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return _named(value, "task")

    @field_validator("sampling", mode="before")
    @classmethod
    def _sampling_by_name(cls, value: Any) -> Any:
        named = {"proportional": {"temperature": 1.0}, "uniform": {"temperature": None}}
        if isinstance(value, str):
            if value not in named:
                raise ValueError("must be proportional, uniform, or temperature and cap")
            return named[value]
        return value


class IntermediateSection(_Section):
    """The stages whose ordered subsets are searched, and the longest sequence.

    Attributes:
        tasks: Names of intermediate tasks, or of entries of ``stages``.
        max_length: Longest sequence, in stages.
        stages: Named stages that are more than one whole task: mixtures, tasks in other languages,
            slices, masked-language-model terms.
    """

    tasks: tuple[str, ...] = Field(min_length=1)
    max_length: int = Field(default=3, ge=0)
    stages: dict[str, StageSection] = {}


class TargetSection(_Section):
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
        torch_compile: Compile the encoder. Batches are padded then, and each new shape is
            compiled anew.
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


class DeepSpeedSection(_Section):
    """ZeRO stage and offload of the DeepSpeed engine.

    Attributes:
        zero_stage: 0 to 3, or ``auto``: the lowest that fits the worker's GPU.
        offload: Where the optimizer's state is kept: on the device, or in the host's memory.
    """

    zero_stage: Literal[0, 1, 2, 3, "auto"] = 0
    offload: Literal["none", "optimizer"] = "none"


class ResourcesSection(_Section):
    """What one trial holds while it runs."""

    workers_per_trial: int = Field(default=1, ge=1)
    cpus_per_worker: float = Field(default=1, gt=0)
    gpus_per_worker: float = Field(default=0, ge=0)


class AshaSection(_Section):
    """Asynchronous successive halving over target budgets.

    Attributes:
        reduction_factor: Keep the best 1/eta of a rung (eta of the paper).
        num_rungs: Number of rungs; budgets fall by the reduction factor from the full budget.
        rungs: Explicit budgets in steps, rising; the last is the full budget.
    """

    reduction_factor: int = Field(default=3, ge=2)
    num_rungs: int = Field(default=3, ge=1)
    rungs: tuple[int, ...] = ()

    @field_validator("rungs")
    @classmethod
    def _rising(cls, rungs: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in itertools.pairwise(rungs)) or (rungs and rungs[0] < 1):
            raise ValueError("budgets must rise and be at least 1 step")
        return rungs


class ConfirmSection(_Section):
    """How many of the best sequences per target are run again, on how many fresh seeds."""

    top: int = Field(default=3, ge=0)
    seeds: int = Field(default=3, ge=1)


class SearchSection(_Section):
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


class StorageSection(_Section):
    """Where checkpoints and the Optuna study live; inside the run directory by default.

    Attributes:
        stages: Folder or fsspec URL of the stage store.
        optuna: Optuna storage URL (``postgresql://...``); ``optuna.db`` in the run directory when
            empty.
        cache: Folder of the tokenised training sets, on storage that the workers share where it
            can be; the user's cache folder when empty.
    """

    stages: str | None = None
    optuna: str | None = None
    cache: str | None = None
    max_size_gb: float | None = Field(default=None, gt=0)


class Study(_Section):
    """A whole study file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    model: ModelSection
    intermediate: IntermediateSection
    targets: tuple[TargetSection, ...] = Field(min_length=1)
    objective: Literal["per_target", "average"] = "per_target"
    select_on: Literal["english_dev", "target_dev"] = "target_dev"
    seed: int = Field(default=0, ge=0)
    hyperparameters: dict[str, Distribution | Value] = {}
    training: TrainingSection = TrainingSection()
    deepspeed: DeepSpeedSection | str = DeepSpeedSection()
    resources: ResourcesSection = ResourcesSection()
    search: SearchSection = SearchSection()
    storage: StorageSection = StorageSection()
    task_folders: tuple[str, ...] = ()

    @field_validator("targets", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return _named(value, "name")

    @property
    def space(self) -> SequenceSpace:
        """The ordered subsets this study searches."""
        return SequenceSpace(self.intermediate.tasks, self.intermediate.max_length)

    def catalogue(self) -> Catalogue:
        """The built-in tasks and those of ``task_folders``, inputs cut to ``max_length``."""
        catalogue = load_catalogue(self.task_folders)
        limit = self.training.max_length
        return catalogue if limit is None else catalogue.cut(limit)
