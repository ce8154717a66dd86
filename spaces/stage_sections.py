"""The study file's schema of stages: their tasks, rates, masked-language-model terms, settings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A section of the study file: unknown keys and infinity are refused; nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def named(value: Any, key: str) -> Any:
    """Let a text in a list stand for a mapping with that ``key`` alone."""
    if isinstance(value, list | tuple):
        return [{key: item} if isinstance(item, str) else item for item in value]
    return value


class TrainingOverrides(Section):
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


class StreamSection(Section):
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


class Sampling(Section):
    """How often each task of a mixture has its turn: ``min(size, cap) ** (1 / temperature)``.

    In a study file also ``proportional`` (temperature 1) or ``uniform`` (temperature ``null``:
    equal rates, whatever the sizes).
    """

    temperature: float | None = Field(default=1.0, ge=1)
    cap: int | None = Field(default=None, ge=1)


class MlmSection(Section):
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
        return named(value, "task")


class StageSection(Section):
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
        return named(value, "task")

    @field_validator("sampling", mode="before")
    @classmethod
    def _sampling_by_name(cls, value: Any) -> Any:
        named = {"proportional": {"temperature": 1.0}, "uniform": {"temperature": None}}
        if isinstance(value, str):
            if value not in named:
                raise ValueError("must be proportional, uniform, or temperature and cap")
            return named[value]
        return value
