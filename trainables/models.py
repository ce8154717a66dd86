"""The model that trains: an encoder and a head for each of a stage's tasks.

Heads belong to tasks and are dropped between stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.attention import ATTENTION
from trainables.formats import FORMATS
from trainables.formats.base import IGNORE, Head, HeadSettings
from trainables.packing import Packing, unpacked
from trainables.pretrained import load_encoder, load_language_model, load_tokenizer

__all__ = ["TaskModel", "build_model", "load_encoder", "load_tokenizer", "parameter_groups"]

#: Kinds of encoders whose batches can be packed, and whether their positions are counted from
#: after the padding token's id, as fairseq's are, or from 0. Others are padded.
PACKABLE = {
    "bert": False,
    "camembert": True,
    "roberta": True,
    "xlm-roberta": True,
    "xlm-roberta-xl": True,
}


class TaskModel(nn.Module):
    """An encoder with one head for each task of a stage.

    Args:
        encoder: A transformers encoder.
        heads: Head by task name; tasks may share one.
        formats: Format name by task name.
    """

    def __init__(
        self, encoder: nn.Module, heads: Mapping[str, Head], formats: Mapping[str, str]
    ) -> None:
        super().__init__()
        # The encoder comes first: a parameter that a head is tied to has the encoder's name.
        self.encoder = encoder
        self.heads = nn.ModuleDict({_key(name): head for name, head in heads.items()})
        self.formats = dict(formats)
        self._first_position = _first_position(encoder)

    @property
    def packs(self) -> bool:
        """Whether a batch may come with a packing."""
        return self._first_position is not None

    def forward(
        self,
        task: str | None,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        scale: float = 1.0,
        packing: Packing | None = None,
    ) -> Tensor:
        """Return logits, or the loss when labels are given.

        Args:
            task: Whose head is used; with ``None`` the result is a loss of zero that every
                parameter takes part in.
            input_ids: Token ids, `R x T`.
            attention_mask: 1 at tokens, 0 at padding, `R x T`.
            labels: The format's labels; then the loss is returned, a scalar.
            scale: Factor on the summed loss (1 / units in the global batch, times workers).
            packing: How the rows are laid end to end for the encoder, which then computes nothing
                for padding; the result is the same. Padded rows for ``None``.
        """
        if task is None:
            states_RTH, nothing = self._encode(input_ids, attention_mask, None, None)
            return states_RTH.sum() * 0.0 + nothing + self._rest(states_RTH, besides=None)
        head = self.heads[_key(task)]
        layer: int | None = head.layer  # type: ignore[assignment]
        states_RTH, nothing = self._encode(input_ids, attention_mask, layer, packing)
        logits: Tensor = head(states_RTH, attention_mask, labels)
        if labels is None:
            return logits
        loss = FORMATS[self.formats[task]].loss(logits, labels) * scale
        return loss + nothing + self._rest(states_RTH, besides=head)

    def _encode(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        layer: int | None,
        packing: Packing | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the states of the last or of the given layer, `R x T x H`, and a zero.

        The zero is one that the layers above the given one take part in.
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if packing is not None:
            assert self._first_position is not None
            inputs = {
                "input_ids": input_ids.flatten()[packing.places].unsqueeze(0),
                "position_ids": packing.positions + self._first_position,
                "packing": packing,
            }
        output = self.encoder(**inputs, output_hidden_states=layer is not None)
        last: Tensor = output.last_hidden_state
        wanted = last if layer is None else output.hidden_states[layer]
        nothing = last.new_zeros(()) if layer is None else last.sum() * 0.0
        if packing is not None:
            wanted = unpacked(wanted.squeeze(0), packing, len(input_ids))
        return wanted, nothing

    def _rest(self, states_RTH: Tensor, besides: nn.Module | None) -> Tensor:
        """Return a zero that the heads' parameters take part in, all but those of one head.

        ZeRO's reduction waits for every parameter in every backward pass. The heads are called, on
        one token of one row, since ZeRO 3 gathers a module's weights when it is called.
        """
        zero = states_RTH.new_zeros(())
        state_11H = states_RTH[:1, :1].detach()
        token_11 = torch.ones((1, 1), dtype=torch.long, device=states_RTH.device)
        for head in self._unique_heads():
            if head is not besides and any(True for _ in head.parameters()):
                zero = zero + head(state_11H, token_11, token_11 * IGNORE).sum() * 0.0
        return zero

    def _unique_heads(self) -> list[nn.Module]:
        return list(dict.fromkeys(self.heads.values()))


def _key(task: str) -> str:
    """A task's name as a module name, where dots separate levels."""
    return task.replace(".", "·")


def _first_position(encoder: nn.Module) -> int | None:
    """Return the first position of a row of a packed batch; ``None`` for an encoder that cannot."""
    config: Any = getattr(encoder, "config", None)
    is_ready = getattr(config, "_attn_implementation", None) == ATTENTION
    if not is_ready or config.model_type not in PACKABLE:
        return None
    return int(config.pad_token_id) + 1 if PACKABLE[config.model_type] else 0


def _let_pack(encoder: nn.Module) -> None:
    """Give an encoder the attention that knows packed batches, where it has torch's own now."""
    config: Any = encoder.config
    is_bidirectional = not getattr(config, "is_decoder", False)
    if config.model_type in PACKABLE and is_bidirectional and config._attn_implementation == "sdpa":
        encoder.set_attn_implementation(ATTENTION)  # type: ignore[operator]


def build_model(
    path: str,
    tasks: Mapping[str, tuple[str, int]],
    *,
    dropout: float,
    seed: int,
    revision: str | None = None,
    weights: Mapping[str, Tensor] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> TaskModel:
    """Build an encoder with fresh heads; a language-model head is the base model's own.

    Args:
        path: Hugging Face folder or hub id of the base model.
        tasks: Task name to (format, number of labels).
        dropout: Dropout of encoder and heads.
        seed: Seeds the heads; a head's weights depend on the seed and the task's place alone.
        revision: Hub revision.
        weights: Encoder weights of a stage, replacing the base model's.
        options: Task name to the task's own options, where it has any.

    Raises:
        InputError: The model cannot be loaded, has no language-model head where a task needs one,
            or a task's options do not fit it.
    """
    language_model_head = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if any(form == "masked_lm" for form, _ in tasks.values()):
            encoder, language_model_head = load_language_model(
                path, dropout=dropout, revision=revision
            )
        else:
            encoder = load_encoder(path, dropout=dropout, revision=revision)
    if weights is not None:
        encoder.load_state_dict(dict(weights))
    _let_pack(encoder)
    config: Any = encoder.config
    heads, formats = {}, {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, (form, num_labels) in tasks.items():
            settings = HeadSettings(
                task=name,
                hidden_size=int(config.hidden_size),
                num_layers=int(config.num_hidden_layers),
                num_labels=num_labels,
                dropout=dropout,
                options=(options or {}).get(name, {}),
                language_model_head=language_model_head,
            )
            heads[name] = FORMATS[form].head(settings)
            formats[name] = form
    return TaskModel(encoder, heads, formats)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters as is usual: no weight decay on biases and layer norms."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
