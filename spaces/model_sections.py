"""The study file's schema of models: what the encoder is, and how it is held in memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from spaces.stage_sections import Section, TrainingOverrides


class Pretraining(Section):
    """Masked-language-model training of a ``scratch`` model on the study's own text."""

    steps: int = Field(default=300, ge=0)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    max_sentences_per_language: int = Field(default=4000, ge=1)


class ModelSection(Section):
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


class DeepSpeedSection(Section):
    """ZeRO stage and offload of the DeepSpeed engine.

    Attributes:
        zero_stage: 0 to 3, or ``auto``: the lowest that fits the worker's GPU.
        offload: Where the optimizer's state is kept: on the device, or in the host's memory.
    """

    zero_stage: Literal[0, 1, 2, 3, "auto"] = 0
    offload: Literal["none", "optimizer"] = "none"


class ModelTraining(TrainingOverrides):
    """Settings of one of several models; what is left out is the study's."""

    precision: Literal["fp32", "bf16", "auto"] | None = None
    micro_batch_size: int | None = Field(default=None, ge=1)
    eval_batch_size: int | None = Field(default=None, ge=1)
    activation_checkpointing: bool | None = None
    stage: TrainingOverrides = TrainingOverrides()
    target: TrainingOverrides = TrainingOverrides()


class ModelEntry(ModelSection):
    """One of several models.

    Attributes:
        training: Settings that are this model's own.
        deepspeed: In the place of the study's.
    """

    training: ModelTraining = ModelTraining()
    deepspeed: DeepSpeedSection | str | None = None

    @property
    def section(self) -> ModelSection:
        """The model alone."""
        return ModelSection(**{name: getattr(self, name) for name in ModelSection.model_fields})
