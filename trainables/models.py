"""The encoder and its heads.

An encoder comes from a Hugging Face folder or hub id, as safetensors only: nothing is unpickled
and no remote code runs. Heads belong to tasks and are dropped between stages.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging as hf_logging

from spaces.errors import InputError
from trainables.formats import FORMATS

# An encoder is loaded for every stage, each time without the heads its checkpoint may hold: the
# report of that, and a progress bar, would say nothing new.
hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()


class TaskModel(nn.Module):
    """An encoder with one head for each task of a stage.

    Args:
        encoder: A transformers encoder.
        heads: Head by task name.
        formats: Format name by task name.
    """

    def __init__(
        self, encoder: nn.Module, heads: Mapping[str, nn.Module], formats: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({_key(name): head for name, head in heads.items()})
        self.formats = dict(formats)

    def forward(
        self,
        task: str | None,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        scale: float = 1.0,
        layer: int | None = None,
    ) -> Tensor:
        """Return logits, or the loss when labels are given.

        Args:
            task: Whose head is used; with ``None`` the result is a loss of zero that every
                parameter takes part in.
            input_ids: Token ids, `R x T`.
            attention_mask: 1 at tokens, 0 at padding, `R x T`.
            labels: The format's labels; then the loss is returned, a scalar.
            scale: Factor on the summed loss (1 / units in the global batch, times workers).
            layer: Mean-pool this layer's states instead of the last one's (retrieval only).
        """
        states_RTH = self.encode(input_ids, attention_mask, layer)
        if task is None:
            return states_RTH.sum() * 0.0 + self._nothing(states_RTH, besides=None)
        if self.formats[task] == "retrieval":
            weights = attention_mask.unsqueeze(-1).to(states_RTH.dtype)
            return (states_RTH * weights).sum(1) / weights.sum(1)
        logits: Tensor = self.heads[_key(task)](states_RTH)
        if labels is None:
            return logits
        loss: Tensor = FORMATS[self.formats[task]].loss(logits, labels) * scale
        return loss + self._nothing(states_RTH, besides=_key(task))

    def _nothing(self, states_RTH: Tensor, besides: str | None) -> Tensor:
        """Return a zero that the heads' parameters take part in, all but those of one head.

        ZeRO's reduction waits for every parameter in every backward pass. The heads are called, on
        one token of one row, since ZeRO 3 gathers a module's weights when it is called.
        """
        zero = states_RTH.new_zeros(())
        for name, head in self.heads.items():
            if name != besides and any(True for _ in head.parameters()):
                zero = zero + head(states_RTH[:1, :1].detach()).sum() * 0.0
        return zero

    def encode(self, input_ids: Tensor, attention_mask: Tensor, layer: int | None) -> Tensor:
        """Return hidden states, `R x T x H`, of the last or of the given layer."""
        output = self.encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=layer is not None,
        )
        states: Tensor = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return states


def _key(task: str) -> str:
    """A task's name as a module name, where dots separate levels."""
    return task.replace(".", "·")


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a Hugging Face folder or hub id.

    Raises:
        InputError: No such folder or hub id, or a tokenizer without what the formats need: a
            padding token, and the character offsets that fast tokenizers give.
    """
    tokenizer = _load(AutoTokenizer, path, revision)
    if len(tokenizer) <= len(tokenizer.all_special_ids) + 1:
        # Transformers makes an empty tokenizer of a folder that holds only its configuration.
        raise InputError(
            f"model.name: the tokenizer of {path!r} has no vocabulary. Give a model folder that "
            "holds tokenizer.json."
        )
    if not tokenizer.is_fast:
        raise InputError(
            f"model.name: the tokenizer of {path!r} is not a fast one, so it cannot tell where a "
            "subword is in the text. Give a model folder that holds tokenizer.json."
        )
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"model.name: the tokenizer of {path!r} has no padding token. Set pad_token in its "
            'tokenizer_config.json; XLM-R\'s is "<pad>".'
        )
    return tokenizer


def load_encoder(path: str, *, dropout: float, revision: str | None = None) -> nn.Module:
    """Load an encoder in 32-bit floats with the given dropout everywhere.

    Raises:
        InputError: No such folder or hub id, or no safetensors weights.
    """
    config = _load(AutoConfig, path, revision)
    config.hidden_dropout_prob = dropout
    config.attention_probs_dropout_prob = dropout
    options = {"config": config, "dtype": torch.float32, "use_safetensors": True}
    if type(config) in MODEL_MAPPING:
        kind = MODEL_MAPPING[type(config)]
        if "add_pooling_layer" in inspect.signature(kind).parameters:
            # No head reads the pooler, and a weight without a gradient stalls ZeRO's reduction.
            options["add_pooling_layer"] = False
    encoder: nn.Module = _load(AutoModel, path, revision, **options)
    return encoder


def _load(kind: Any, path: str, revision: str | None, **options: Any) -> Any:
    try:
        return kind.from_pretrained(path, revision=revision, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:  # A ValueError refuses remote code, or is about JSON.
        where = "the folder" if Path(path).is_dir() else "the hub id"
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"model.name: cannot load {where} {path!r}: {lines[0].rstrip('.')}. Give a folder or "
            "hub id that holds config.json, a fast tokenizer and model.safetensors, of a kind that "
            "transformers itself knows: nothing is unpickled, and no code that comes with a model "
            "is run."
        ) from error


def build_model(
    path: str,
    tasks: Mapping[str, tuple[str, int]],
    *,
    dropout: float,
    seed: int,
    revision: str | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> TaskModel:
    """Build an encoder with fresh heads.

    Args:
        path: Hugging Face folder or hub id of the base model.
        tasks: Task name to (format, number of labels).
        dropout: Dropout of encoder and heads.
        seed: Seeds the heads; a head's weights depend on the seed and the task's place alone.
        revision: Hub revision.
        weights: Encoder weights of a stage, replacing the base model's.
    """
    encoder = load_encoder(path, dropout=dropout, revision=revision)
    if weights is not None:
        encoder.load_state_dict(dict(weights))
    hidden_size = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
    heads, formats = {}, {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, (form, num_labels) in tasks.items():
            heads[name] = FORMATS[form].head(hidden_size, num_labels, dropout)
            formats[name] = form
            for module in heads[name].modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)
    return TaskModel(encoder, heads, formats)
