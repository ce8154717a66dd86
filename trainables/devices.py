"""What a worker's device is and has."""

from __future__ import annotations

import torch


def device_precision(precision: str) -> str:
    """Return the precision that ``auto`` stands for on this worker's device."""
    if precision != "auto":
        return precision
    # Emulated bf16 would be slower than fp32.
    has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if has_bf16 else "fp32"


def device_bytes() -> int | None:
    """Return the memory of this worker's GPU; ``None`` without one."""
    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


#: What else says that there is no room: the host's allocator, and what takes memory on a GPU beside
#: torch's allocator (page-locked memory, libraries' workspaces, NCCL's buffers).
OUT_OF_MEMORY_SIGNS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "'out of memory'",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device, or the host, has no room for a tensor.

    >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    True
    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"))
    True
    """
    # Not all of it has a type of its own.
    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error) for sign in OUT_OF_MEMORY_SIGNS
    )


def seed_device(seed: int, device: torch.device) -> None:
    """Seed what is drawn on the CPU and on a device, as ``torch.manual_seed`` does.

    That one also goes through the kinds of devices that are not there, which takes milliseconds.

    Args:
        seed: The seed.
        device: Where a worker trains.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
