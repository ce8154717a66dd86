"""What DeepSpeed 0.19 keeps of a model whose engine has been destroyed, and how to be rid of it.

A process that trains one stage after another would keep every one's weights, on the GPU as well.
"""

from __future__ import annotations

from torch import nn


def let_go(module: nn.Module) -> None:
    """Make DeepSpeed forget a model; its engine is not used any more."""
    # Here: the accelerator must have been chosen before deepspeed is imported.
    from deepspeed.runtime.zero import parameter_offload  # noqa: PLC0415
    from deepspeed.runtime.zero.partitioned_param_coordinator import (  # noqa: PLC0415
        PartitionedParameterCoordinator,
    )

    # ZeRO 3 puts the model on a stack of modules under way, to which a forward pass that failed
    # adds its own, and takes none of them off again.
    mine = set(module.modules())
    stack = parameter_offload.FWD_MODULE_STACK
    stack[:] = [entry for entry in stack if entry not in mine]
    # A method's unbounded cache, whose keys hold the model; a decorator's closure hides it. What
    # another engine has in it is computed again.
    name = "_PartitionedParameterCoordinator__params_to_release"
    method = getattr(PartitionedParameterCoordinator, name, None)
    for cell in getattr(method, "__closure__", None) or ():
        if hasattr(cell.cell_contents, "cache_clear"):
            cell.cell_contents.cache_clear()
