"""Weights and moments of an engine in and out, as named full tensors, whatever the ZeRO stage.

What is parted between workers is gathered, and what goes in is parted again, so a state goes from
one ZeRO stage or number of workers to another, and nothing is pickled. Used by
``trainables.engine``, which chooses DeepSpeed's accelerator before deepspeed is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
    safe_set_local_fp32_param,
    safe_set_local_optimizer_state,
)
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")


class EngineState:
    """Reads and writes what an engine trains.

    Args:
        engine: DeepSpeed's engine.
        zero_stage: Its ZeRO stage.
    """

    def __init__(self, engine: Any, zero_stage: int) -> None:
        self._engine = engine
        self._zero_stage = zero_stage

    @property
    def is_plain(self) -> bool:
        """Whether the optimizer is torch's own: no ZeRO, no 32-bit master copies."""
        return isinstance(self._engine.optimizer, torch.optim.Optimizer)

    @property
    def is_parted(self) -> bool:
        """Whether each worker holds a part of the weights alone."""
        return self._zero_stage == 3

    def weights(self, prefix: str) -> dict[str, Tensor]:
        """Return the weights below a prefix, which their names lose; empty but on worker 0."""
        return _on_first(
            (name.removeprefix(prefix), self._full_weight(parameter))
            for name, parameter in self._module.named_parameters()
            if name.startswith(prefix)
        )

    def read(self, step: int) -> dict[str, Tensor]:
        """Return weights, moments and the step; empty but on worker 0."""
        self._link_moments()
        return _on_first(self._all(step))

    def write(self, tensors: Mapping[str, Tensor]) -> int:
        """Take over ``read``'s tensors; return the step. The moments must have been made."""
        self._link_moments()
        for name, parameter in self._module.named_parameters():
            self._set_weight(parameter, tensors[f"weight/{name}"])
            for moment in MOMENTS:
                self._set_moment(parameter, moment, tensors[f"{moment}/{name}"])
        count = int(tensors["step"])
        for state in self._base_optimizer().state.values():
            # Bias correction counts steps per parameter.
            step = state["step"]
            state["step"] = (
                torch.full_like(step, float(count)) if isinstance(step, Tensor) else count
            )
        return count

    @property
    def _module(self) -> nn.Module:
        module: nn.Module = self._engine.module
        return module

    def _all(self, step: int) -> Iterator[tuple[str, Tensor]]:
        yield "step", torch.tensor(step)
        for name, parameter in self._module.named_parameters():
            yield f"weight/{name}", self._full_weight(parameter)
            for moment in MOMENTS:
                yield f"{moment}/{name}", self._full_moment(parameter, moment)

    def _link_moments(self) -> None:
        """Make ZeRO's moments readable by parameter, for all groups of parameters.

        DeepSpeed links them once, after the first group's first step, when the other groups have
        none yet, and then takes all for linked.
        """
        optimizer = self._engine.optimizer
        if hasattr(optimizer, "_hp_optimizer_states_linked"):
            optimizer._hp_optimizer_states_linked = False
            optimizer._lazy_init_hp_params_optimizer_state()

    def _base_optimizer(self) -> torch.optim.Optimizer:
        optimizer = self._engine.optimizer
        inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
        return inner

    def _full_weight(self, parameter: Tensor) -> Tensor:
        full: Tensor = parameter if self.is_plain else safe_get_full_fp32_param(parameter)
        return full

    def _full_moment(self, parameter: Tensor, moment: str) -> Tensor:
        full: Tensor
        if self.is_plain:
            full = self._base_optimizer().state[parameter][moment]
        else:
            full = safe_get_full_optimizer_state(parameter, moment)
        return full

    def _set_weight(self, parameter: Tensor, value: Tensor) -> None:
        value = value.to(self._engine.device)
        if self.is_parted:
            part = _partition(parameter, value)
            safe_set_local_fp32_param(parameter, part)
            # The copy that computes, and the gathered one of a parameter too small to part.
            held(parameter).data.copy_(part)
            if parameter.numel() == value.numel():
                parameter.data.copy_(value)
            return
        if not self.is_plain:
            safe_set_full_fp32_param(parameter, value)
        parameter.data.copy_(value)

    def _set_moment(self, parameter: Tensor, moment: str, value: Tensor) -> None:
        value = value.to(self._engine.device)
        if self.is_plain:
            self._base_optimizer().state[parameter][moment].copy_(value)
        elif self.is_parted:
            safe_set_local_optimizer_state(parameter, _partition(parameter, value), moment)
        else:
            safe_set_full_optimizer_state(parameter, value, moment)


def held(parameter: Tensor) -> Tensor:
    """Return the part of a parameter that this worker holds: all of it below ZeRO 3."""
    part: Tensor = getattr(parameter, "ds_tensor", parameter)
    return part


def _partition(parameter: Tensor, value: Tensor) -> Tensor:
    """Return this worker's part of a full tensor under ZeRO 3: equal parts, the last one padded."""
    length = held(parameter).numel()
    start = length * dist.get_rank()
    part = value.flatten()[start : start + length]
    return torch.nn.functional.pad(part, (0, length - part.numel()))


def _on_first(gathered: Iterator[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Run through what all workers gather together; only worker 0 keeps it."""
    kept = {}
    for name, tensor in gathered:
        if dist.get_rank() == 0:
            kept[name] = tensor.detach().to("cpu", copy=True).contiguous()
    return kept
