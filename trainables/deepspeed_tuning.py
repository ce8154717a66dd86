"""What DeepSpeed is told so that a step makes nobody wait: the same updates, faster.

As it comes, DeepSpeed makes the host wait for the GPU several times a step: to time it, to look
for overflows that bf16 and 32 bits do not have, and to clip. A host that waits hands out no work
meanwhile, and small steps are as long as handing out their work takes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from deepspeed.runtime.precision_config import DeepSpeedBF16Config
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

from trainables.deepspeed_config import offloads_optimizer
from trainables.memory import BUCKET_ELEMENTS


def tuned(config: dict[str, Any], num_parameters: int, world_size: int) -> dict[str, Any]:
    """Return a configuration that trains the same; what it says of these things itself stays.

    Args:
        config: The configuration.
        num_parameters: Weights of the model.
        world_size: Number of workers.
    """
    zero = dict(config["zero_optimization"])
    stage = int(zero["stage"])
    made = {**config, "zero_optimization": zero}
    # It would wait for the device before and after each micro-batch.
    made.setdefault("timers", {"throughput": {"enabled": False}})
    if config["bf16"]["enabled"] and "check_grad_overflow" in DeepSpeedBF16Config.model_fields:
        # A step that has overflown would be left out without a word.
        made["bf16"] = {**config["bf16"], "check_grad_overflow": False}
    if stage > 0:
        # The bucket is allocated whole, 1 GB in bf16 even for a small model.
        zero.setdefault("reduce_bucket_size", min(num_parameters, BUCKET_ELEMENTS))
    if stage == 1 and world_size == 1 and not offloads_optimizer(made):
        # One worker has nothing to reduce, and needs no copy of each gradient for it.
        zero.setdefault("contiguous_gradients", False)
    if stage in (1, 2) and _can_leave_clipping(made):
        zero["compute_grad_norm"] = False
    if clips_here(made):
        made["gradient_clipping"] = 0.0
    return made


def clips_here(config: dict[str, Any]) -> bool:
    """Return whether the gradients are clipped by ``clip``, not by DeepSpeed itself."""
    zero = config["zero_optimization"]
    return zero["stage"] == 0 or not zero.get("compute_grad_norm", True)


def _can_leave_clipping(config: dict[str, Any]) -> bool:
    zero = config["zero_optimization"]
    return (
        "compute_grad_norm" in DeepSpeedZeroConfig.model_fields
        and "compute_grad_norm" not in zero
        and not offloads_optimizer(config)
    )


def clip(engine: Any, max_norm: float) -> None:
    """Clip what an engine has reduced to a norm, all workers' parts together.

    Under ZeRO 1 and 2 a worker has the averaged gradients of its part of the weights.

    Args:
        engine: DeepSpeed's engine, after the backward pass of a step's last micro-batch.
        max_norm: Largest norm.
    """
    optimizer = engine.optimizer
    if isinstance(optimizer, torch.optim.Optimizer):
        torch.nn.utils.clip_grad_norm_(engine.module.parameters(), max_norm, foreach=True)
        return
    parts = [part for group in optimizer.averaged_gradients.values() for part in group or ()]
    norms = torch._foreach_norm(parts, 2, dtype=torch.float32)
    square = torch.stack(norms).square().sum() if norms else torch.zeros((), device=engine.device)
    if dist.get_world_size() > 1:
        dist.all_reduce(square)
    # As torch's own: not a number stays one, and is found in the weights.
    factor = (max_norm / (square.sqrt() + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(parts, factor)
