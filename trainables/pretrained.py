"""What a base model's folder or hub id holds: tokenizer, encoder and language-model head.

Weights come from safetensors only: nothing is unpickled and no remote code runs.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
)
from transformers.utils import logging as hf_logging

from spaces.errors import InputError
from trainables.formats.masked_lm import LanguageModelHead

# An encoder is loaded for every stage, each time without the heads its checkpoint may hold: the
# report of that, and a progress bar, would say nothing new.
hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()

#: What the kinds of encoders call their dropouts.
DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "hidden_dropout",
    "mlp_dropout",
)


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
    config = _load_config(path, dropout, revision)
    options = {**_weights_options(config), **_encoder_options(config)}
    encoder: nn.Module = _load(AutoModel, path, revision, **options)
    return encoder


def load_language_model(
    path: str, *, dropout: float, revision: str | None = None
) -> tuple[nn.Module, LanguageModelHead]:
    """Load an encoder as ``load_encoder`` does, and the language-model head that goes with it.

    The head's weights are the checkpoint's. What it does not hold starts from torch's random
    state, in the way of the model's own kind.

    Raises:
        InputError: As ``load_encoder``; or a kind of model that transformers knows no such head
            for, or one whose head needs more than the encoder's states.
    """
    config = _load_config(path, dropout, revision)
    model = None
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        model = _load(AutoModelForMaskedLM, path, revision, **_weights_options(config))
    if model is None or not _has_the_layout_of_an_encoder(model, config):
        raise _no_language_model(path, config)
    encoder = model.base_model
    head = LanguageModelHead(model)
    state_11H = torch.zeros((1, 1, int(config.hidden_size)))
    try:
        with torch.no_grad():
            logits_11V = head(state_11H, torch.ones((1, 1)))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _no_language_model(path, config) from error
    if logits_11V.shape != (1, 1, config.vocab_size):
        raise _no_language_model(path, config)
    return encoder, head


def _has_the_layout_of_an_encoder(model: Any, config: Any) -> bool:
    """Whether the model's encoder has the weights that other stages load and store."""
    with torch.device("meta"):
        encoder = AutoModel.from_config(config, **_encoder_options(config))
    return set(model.base_model.state_dict()) == set(encoder.state_dict())


def _no_language_model(path: str, config: Any) -> InputError:
    return InputError(
        f"model.name: {path!r} ({type(config).__name__.removesuffix('Config')}) has no "
        "language-model head that can be trained here. Use an encoder such as XLM-R, RoBERTa or "
        "BERT, or leave the masked_lm tasks out."
    )


def _load_config(path: str, dropout: float, revision: str | None) -> Any:
    config = _load(AutoConfig, path, revision)
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, dropout)
    return config


def _weights_options(config: Any) -> dict[str, Any]:
    return {"config": config, "dtype": torch.float32, "use_safetensors": True}


def _encoder_options(config: Any) -> dict[str, Any]:
    """Leave the pooler out: no head reads it, and a weight without a gradient stalls ZeRO."""
    if type(config) not in MODEL_MAPPING:
        return {}
    parameters = inspect.signature(MODEL_MAPPING[type(config)]).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in parameters else {}


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
