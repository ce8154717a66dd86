"""The study file: what to search, validated before anything starts.

``load_study`` reads a file or a ready-made study by name, applies ``--set`` overrides and checks
what can be checked without data: unknown keys, types, task names, impossible combinations.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spaces.errors import InputError, UnknownNameError, near_matches
from spaces.hyperparameters import Distribution, Value, split_name
from spaces.sequences import SequenceSpace
from spaces.tasks import Catalogue, load_catalogue


#: Section of a run directory's ``study.yaml`` that notes versions; not part of the study.
RESOLVED = "resolved"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class IntermediateSection(_Section):
    """The intermediate tasks whose ordered subsets are searched, and the longest sequence."""

    tasks: tuple[str, ...] = Field(min_length=1)
    max_length: int = Field(default=3, ge=0)


class TargetSection(_Section):
    """One target; ``languages`` narrows the evaluation to some of its languages."""

    name: str
    languages: tuple[str, ...] = ()


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


class TrainingSection(TrainingOverrides):
    """How stages and targets are trained.

    ``max_steps`` wins over ``epochs``; with neither, the task's published epochs hold. Batch sizes
    are effective (over all workers and accumulation steps).

    Attributes:
        precision: ``fp32`` or ``bf16``.
        micro_batch_size: Most examples in one forward pass on one worker.
        max_length: Cut every task's longest input to so many subwords.
        max_train_examples: Use only the first so many training examples of each task.
        max_eval_examples: Evaluate on the first so many examples of each language.
        stage, target: Overrides for intermediate stages and for target fine-tuning.
    """

    batch_size: int = Field(default=32, ge=1)
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    schedule: Literal["linear", "constant"] = "linear"
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    micro_batch_size: int | None = Field(default=None, ge=1)
    max_length: int | None = Field(default=None, ge=16)
    max_train_examples: int | None = Field(default=None, ge=1)
    max_eval_examples: int | None = Field(default=None, ge=1)
    eval_batch_size: int = Field(default=64, ge=1)
    stage: TrainingOverrides = TrainingOverrides()
    target: TrainingOverrides = TrainingOverrides()


class DeepSpeedSection(_Section):
    """ZeRO stage and offload of the DeepSpeed engine."""

    zero_stage: Literal[0, 1, 2, 3] = 0
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
        if any(low >= high for low, high in zip(rungs, rungs[1:], strict=False)) or (
            rungs and rungs[0] < 1
        ):
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
        asha: Pruning, or ``null`` for none.
        confirm: Confirmation on fresh seeds.
        baselines: Whether the empty sequence, each single task and all tasks at once are run.
        max_failures: Times a failing trial is tried again before it is told FAILED.
    """

    num_trials: int = Field(default=100, ge=0)
    max_concurrent: int | Literal["auto"] = "auto"
    sampler: str = "sequence"
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
    """

    stages: str | None = None
    optuna: str | None = None
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
        if isinstance(value, list | tuple):
            return [{"name": item} if isinstance(item, str) else item for item in value]
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


def ready_made_studies() -> dict[str, str]:
    """Return the ready-made studies: name to YAML text."""
    folder = resources.files("spaces") / "studies"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def load_study(reference: str, overrides: tuple[str, ...] = ()) -> Study:
    """Load and validate a study.

    Args:
        reference: A YAML file, or the name of a ready-made study.
        overrides: ``key.path=value`` pairs; values are read as YAML.

    Raises:
        InputError: Anything wrong with it, in one message.
    """
    path = Path(reference)
    if path.is_file():
        text, origin = path.read_text(encoding="utf-8"), str(path)
    else:
        studies = ready_made_studies()
        if path.suffix in (".yaml", ".yml") or "/" in reference:
            raise InputError(
                f"study file {reference!r} does not exist. Give a YAML file or one of the "
                f"ready-made studies: {', '.join(studies)}."
            )
        if reference not in studies:
            raise UnknownNameError("study", reference, studies)
        text, origin = studies[reference], f"study {reference}"
    return parse_study(text, origin, overrides)


def parse_study(text: str, origin: str, overrides: tuple[str, ...] = ()) -> Study:
    """Read a study from YAML text and check it against the catalogue.

    Raises:
        InputError: Not YAML, unknown keys, wrong types, unknown tasks or impossible settings.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{origin}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{origin}: a study file holds a mapping, not {type(raw).__name__}.")
    raw.pop(RESOLVED, None)
    for override in overrides:
        _apply_override(raw, override)
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{origin}: {_describe(error)}") from None
    _check_names(study)
    return study


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise InputError(f"--set {override!r}: write key=value, for example search.num_trials=50.")
    *parents, last = key.split(".")
    node: Any = raw
    if parents and parents[0] == "hyperparameters":
        parents, last = ["hyperparameters"], key.removeprefix("hyperparameters.")
    for parent in parents:
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            raise InputError(f"--set {override!r}: {parent!r} is not a section of the study.")
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override!r}: the value is not YAML: {error}") from None


def _describe(error: ValidationError) -> str:
    """One line per finding, with the value and, for an unknown key, near matches."""
    lines = []
    for finding in error.errors():
        path = [str(part) for part in finding["loc"]]
        key = ".".join(path) or "(top level)"
        if finding["type"] == "extra_forbidden":
            known = _keys_at(path[:-1])
            lines.append(f"{key}: unknown key. {near_matches(path[-1], known)}")
        elif finding["type"] == "missing":
            lines.append(f"{key}: required, and missing.")
        else:
            message = finding["msg"].removeprefix("Value error, ")
            value = finding["input"]
            lines.append(f"{key}: {message}" + ("" if value is None else f" (got {value!r})"))
    return "; ".join(dict.fromkeys(lines))


def _keys_at(path: list[str]) -> list[str]:
    model: Any = Study
    for part in path:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((c for c in candidates if hasattr(c, "model_fields")), model)
    return list(model.model_fields)


def _check_names(study: Study) -> None:
    catalogue = study.catalogue()
    for name in study.intermediate.tasks:
        _check_role(catalogue, name, "intermediate", "intermediate.tasks")
    seen = set()
    for target in study.targets:
        task = _check_role(catalogue, target.name, "target", "targets")
        if target.name in seen:
            raise InputError(f"targets: {target.name!r} is listed twice.")
        seen.add(target.name)
        for language in target.languages:
            if language not in task.languages:
                raise UnknownNameError(
                    "language", language, task.languages, f"targets.{target.name}.languages"
                )
    # The space checks its own bounds: a length beyond the number of tasks, a task listed twice.
    space = study.space
    for name in study.hyperparameters:
        split_name(name)
    if study.search.num_trials == 0 and not study.search.baselines:
        raise InputError(
            "search: num_trials is 0 and baselines is false, so there is nothing to run. "
            f"Raise num_trials (the space has {space.size} sequences) or keep the baselines."
        )
    if isinstance(study.deepspeed, str) and not Path(study.deepspeed).is_file():
        raise InputError(f"deepspeed: the file {study.deepspeed!r} does not exist.")


def _check_role(catalogue: Catalogue, name: str, role: Any, where: str) -> Any:
    usable = [task.name for task in catalogue.of_role(role)]
    if name not in catalogue:
        raise UnknownNameError(f"{role} task", name, usable, where)
    task = catalogue[name]
    if task.format == "masked_lm":
        raise InputError(
            f"{where}: {name!r} is raw text; masked-language-model stages are not trained yet. "
            "Take it out of the study."
        )
    if role not in task.roles:
        raise InputError(
            f"{where}: {name!r} cannot be an {role} task; it is {' and '.join(task.roles)}. "
            f"{near_matches(name, usable)}"
        )
    return task
