"""Attention within each row of a packed batch, exactly: no token sees another row.

``ATTENTION`` is an implementation for transformers' attention interface. Without a packing it is
torch's own scaled dot-product attention. With one it runs, on a GPU, a kernel for rows of any
length (torch's FlashAttention, or its memory-efficient one where that is missing and in 32 bits),
and elsewhere one call for each group of rows of similar length. All are the attention of the padded
batch; what dropout draws differs, as it does between any two layouts of a batch.

The kernels are called by themselves. Through jagged nested tensors torch calls the same ones, with
more work on the host, and with no word takes another way that waits for the device where it has
none.

Shapes: A heads, N tokens of all rows, D size of a head.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from trainables.devices import is_out_of_memory
from trainables.packing import Group, Packing, pack

_log = logging.getLogger(__name__)
ATTENTION = "taskorder_packed"
#: Largest difference between a kernel for rows of any length and the groups, as a part of the
#: largest number.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.01, torch.bfloat16: 0.03}

Kernel = Callable[[Tensor, Tensor, Tensor, Packing, float, float | None], Tensor]


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend, in transformers' convention.

    Args:
        module: The layer that asks.
        query: `1 x A x N x D` if packed.
        key: Likewise.
        value: Likewise.
        attention_mask: Of a padded batch.
        dropout: Dropout of the attention weights.
        scaling: Factor on the scores; the usual one for ``None``.
        packing: Of a packed batch.
        **options: What else transformers passes on.

    Returns:
        The states, `1 x N x A x D` if packed, and no weights.
    """
    if packing is None:
        states, _ = sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            **options,
        )
        return states, None
    kernel: Kernel = attend_groups
    if query.is_cuda:
        kernel = chosen_kernel(query.device, query.dtype, query.shape[1], query.shape[3])
    query_NAD, key_NAD, value_NAD = (part[0].transpose(0, 1) for part in (query, key, value))
    states_NAD = kernel(query_NAD, key_NAD, value_NAD, packing, dropout, scaling)
    return states_NAD.unsqueeze(0), None


def attend_groups(
    query_NAD: Tensor,
    key_NAD: Tensor,
    value_NAD: Tensor,
    packing: Packing,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> Tensor:
    """Attend within each row, one group of rows at a time, `N x A x D`."""
    parts = []
    for group in packing.groups:
        query, key, value = (_rows(part, group) for part in (query_NAD, key_NAD, value_NAD))
        states = scaled_dot_product_attention(
            query, key, value, attn_mask=group.mask, dropout_p=dropout, scale=scaling
        )
        flat = states.transpose(1, 2).flatten(0, 1)
        parts.append(flat if group.places is None else flat[group.places])
    return torch.cat(parts)


def attend_flash(
    query_NAD: Tensor,
    key_NAD: Tensor,
    value_NAD: Tensor,
    packing: Packing,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> Tensor:
    """Attend within each row by FlashAttention-2 (Dao 2023, arXiv:2307.08691), `N x A x D`.

    On a GPU alone, of the Ampere generation or later, in 16 bits.
    """
    longest = packing.longest
    states_NAD: Tensor = torch.ops.aten._flash_attention_forward(
        query_NAD,
        key_NAD,
        value_NAD,
        packing.offsets,
        packing.offsets,
        longest,
        longest,
        dropout,
        False,  # not causal
        False,  # no mask to debug with
        scale=scaling,
    )[0]
    return states_NAD


def attend_efficient(
    query_NAD: Tensor,
    key_NAD: Tensor,
    value_NAD: Tensor,
    packing: Packing,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> Tensor:
    """Attend within each row by the memory-efficient kernel of xFormers, `N x A x D`.

    On a GPU alone, in 32 bits as well.
    """
    longest = packing.longest
    states_1NAD: Tensor = torch.ops.aten._efficient_attention_forward(
        query_NAD.unsqueeze(0),
        key_NAD.unsqueeze(0),
        value_NAD.unsqueeze(0),
        None,  # no bias
        packing.offsets,
        packing.offsets,
        longest,
        longest,
        dropout,
        0,  # no causal mask
        True,  # with what the backward pass needs
        scale=scaling,
    )[0]
    return states_1NAD.squeeze(0)


def _rows(part_NAD: Tensor, group: Group) -> Tensor:
    """Return a group's rows, padded if they are not of one length, `rows x A x tokens x D`."""
    rows = part_NAD[group.start : group.end]
    if group.places is not None:
        padded = rows.new_zeros(group.num_rows * group.num_tokens, *rows.shape[1:])
        rows = padded.index_copy(0, group.places, rows)
    return rows.reshape(group.num_rows, group.num_tokens, *rows.shape[1:]).transpose(1, 2)


@lru_cache(maxsize=16)
def chosen_kernel(device: torch.device, dtype: torch.dtype, heads: int, size: int) -> Kernel:
    """Return the fastest exact way on a device; told once if it is not a kernel.

    Args:
        device: Where it is to run.
        dtype: What on.
        heads: Attention heads.
        size: Size of a head.
    """
    kernels = (attend_efficient,) if dtype == torch.float32 else (attend_flash, attend_efficient)
    reasons = []
    for kernel in kernels:
        # In a thread of its own: the first pass is under way in this one, and what it has switched
        # on for its own tensors (activation checkpointing above all) is not for the probe's.
        with ThreadPoolExecutor(1) as thread:
            reason = thread.submit(probe, kernel, device, dtype, heads, size).result()
        if not reason:
            return kernel
        reasons.append(reason)
    _log.warning(
        "no attention kernel for rows of any length on %s (%s): rows of similar length are "
        "attended to together, which is exact and slower",
        device,
        "; ".join(reasons),
    )
    return attend_groups


def probe(kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: int, size: int) -> str:
    """Return why a kernel cannot be used: what it raised, or that its results are others.

    A few rows are run forward, with and without dropout, and backward.

    Args:
        kernel: The kernel.
        device: Where it is to run.
        dtype: What on.
        heads: Attention heads.
        size: Size of a head.

    Raises:
        RuntimeError: The device has no room, which says nothing of the kernel.
    """
    generator = torch.Generator().manual_seed(0)
    packing = pack([5, 17, 9]).to(device)
    num_tokens = int(packing.offsets[-1])

    def run(chosen: Kernel) -> Tensor:
        leaves = [part.clone().requires_grad_() for part in parts]
        states = chosen(leaves[0], leaves[1], leaves[2], packing, 0.0, None)
        states.float().square().sum().backward()  # type: ignore[no-untyped-call]
        gradients = (leaf.grad for leaf in leaves if leaf.grad is not None)
        return torch.cat([states.detach(), *gradients])

    with torch.enable_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        parts = [
            torch.randn(num_tokens, heads, size, generator=generator).to(device, dtype)
            for _ in range(3)
        ]
        expected = run(attend_groups)
        try:
            found = run(kernel)
            kernel(parts[0], parts[1], parts[2], packing, 0.1, None)
        except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError) as error:
            if is_out_of_memory(error):
                raise
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    scale = float(expected.abs().max())
    difference = float((found - expected).abs().max()) / scale
    return "" if difference <= TOLERANCE[dtype] else f"its results are off by {difference:.2g}"


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
