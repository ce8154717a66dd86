"""AdamW, by the fastest kernel that there is where the optimizer's state is kept."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import torch

_log = logging.getLogger(__name__)


def adamw(
    groups: list[dict[str, Any]], learning_rate: float, *, offloaded: bool
) -> torch.optim.Optimizer:
    """Return AdamW over groups of parameters.

    Args:
        groups: Parameters, with what each group has of its own.
        learning_rate: Rate of the groups that have none.
        offloaded: Whether the state is kept in the host's memory, beside a GPU.
    """
    kernel = _host_kernel() if offloaded else None
    if kernel is not None:
        optimizer: torch.optim.Optimizer = kernel(groups, lr=learning_rate)
        return optimizer
    # One kernel for an update: on a CPU a fifth of the time of torch's default.
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


@cache
def _host_kernel() -> Any:
    """Return DeepSpeed's AdamW for the host; ``None``, told once, where it cannot be compiled."""
    # Here: the accelerator must have been chosen before deepspeed is imported.
    from deepspeed.ops.adam import DeepSpeedCPUAdam  # noqa: PLC0415

    try:
        DeepSpeedCPUAdam([torch.nn.Parameter(torch.zeros(1))])
    except Exception as error:  # noqa: BLE001  (a compiler, a CUDA kit: each is missed in its way)
        _log.warning(
            "DeepSpeed's AdamW for an offloaded optimizer cannot be compiled here (%s): torch's is "
            "used, which makes the same updates and is slower",
            str(error.__cause__ or error).strip().partition("\n")[0],
        )
        return None
    return DeepSpeedCPUAdam
