"""Which examples a step sees: a pure function of seed, step, rank and world size.

The stream of a task is its training set, shuffled anew each epoch; a global batch is the next
``batch_size`` of it, and worker r takes every world_size-th example from r. Nothing is stored, so
a stage continues at any step, on any number of workers, with the batches it would have had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.formats import FORMATS
from trainables.formats.base import Feature, Tokenizer, pad_rows
from trainables.packing import Packing, pack

#: On a CPU a batch with less padding than this leaves is padded: packing costs a little, too.
MOST_FILLED = 0.95
#: Formats whose loss looks at all of a forward pass's examples together: what shares a pass
#: with what is part of the definition, so it stays as it was drawn.
UNSORTED = ("retrieval",)


def derived_seed(*parts: object) -> int:
    """Return a 63-bit seed from its parts, the same in every process."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@lru_cache(maxsize=64)
def _permutation(seed: int, size: int, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(derived_seed("order", seed, epoch)).permutation(size)


def global_batch(seed: int, size: int, batch_size: int, step: int) -> list[int]:
    """Return the example indices of the 0-based ``step``.

    >>> sorted(global_batch(0, 4, 2, 0) + global_batch(0, 4, 2, 1))
    [0, 1, 2, 3]
    """
    indices: list[int] = []
    position = step * batch_size
    while len(indices) < batch_size:
        epoch, offset = divmod(position, size)
        taken = _permutation(seed, size, epoch)[offset : offset + batch_size - len(indices)]
        indices += taken.tolist()
        position += len(taken)
    return indices


def mixture_schedule(shares: Sequence[float], seed: int, steps: int) -> list[int]:
    """Choose the stream of every step, in proportion to the streams' shares.

    Each stream gets its exact share of the steps (largest remainders first), in a seeded random
    order, so that short stages are mixed as evenly as long ones.
    """
    # Rounded: a share such as 1/3 of 3 steps is one whole step.
    total = sum(shares)
    exact = [round(steps * share / total, 9) for share in shares]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: steps - sum(counts)]:
        counts[i] += 1
    schedule = np.repeat(np.arange(len(shares)), counts)
    rng = np.random.default_rng(derived_seed("mixture", seed))
    return [int(i) for i in rng.permutation(schedule)]


def collate(
    features: Sequence[Feature],
    form: str,
    pad_id: int,
    device: torch.device,
    *,
    labelled: bool,
    packed: bool = False,
) -> dict[str, Any]:
    """Pad a batch of features to its longest row.

    Args:
        features: The batch.
        form: Its format.
        pad_id: Id of the padding token.
        device: Where the batch goes.
        labelled: Whether the labels are wanted.
        packed: Whether the model can do without the padding.

    Returns:
        ``input_ids`` and ``attention_mask``, `R x T`; with ``labelled`` the format's labels; with
        ``packed`` the packing, where it is worth while.
    """
    rows = [row for feature in features for row in feature.rows]
    sizes = [len(row) for row in rows]
    lengths = torch.tensor(sizes)
    longest = max(sizes)
    mask = (torch.arange(longest) < lengths[:, None]).long()
    batch: dict[str, Any] = {"input_ids": pad_rows(rows, longest, pad_id), "attention_mask": mask}
    if labelled:
        batch["labels"] = FORMATS[form].labels(features, longest)
    if packed and _is_worth_packing(sizes, device):
        batch["packing"] = pack(sizes)
    return batch if device.type == "cpu" else to_device(batch, device)


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return a batch with its tensors on a device; a GPU copies them while the host goes on."""
    is_cuda = device.type == "cuda"
    return {
        # Only from page-locked memory is the copy one that nobody waits for.
        key: (value.pin_memory() if is_cuda else value).to(device, non_blocking=is_cuda)
        if isinstance(value, Tensor | Packing)
        else value
        for key, value in batch.items()
    }


def _is_worth_packing(lengths: Sequence[int], device: torch.device) -> bool:
    """Whether the padding a batch would have costs more than its packing.

    A GPU is always better off: its kernel for rows of any length needs no mask, and to look whether
    a mask hides anything would make the host wait for it.
    """
    return device.type != "cpu" or sum(lengths) < MOST_FILLED * max(lengths) * len(lengths)


def micro_batches(
    features: Sequence[Feature],
    indices: Sequence[int],
    *,
    task: str,
    form: str,
    tokenizer: Tokenizer,
    device: torch.device,
    rank: int,
    world_size: int,
    micro_batch_size: int,
    seed: int,
    packed: bool = False,
) -> Iterator[Mapping[str, Any]]:
    """Yield this worker's share of a global batch as the model's arguments.

    The loss is scaled so that the mean over workers of the summed micro-batches is the mean over
    the units of the *global* batch, whatever the number of workers and micro-batches. (The loss
    of retrieval depends on them all the same: its negatives are those of the micro-batch.) A share
    that takes several forward passes is sorted by length first, so that each holds rows that are
    alike.

    Args:
        features: All features of the stream.
        indices: The global batch.
        task: Name of the task.
        form: Its format.
        tokenizer: The base model's tokenizer.
        device: Where the batches go.
        rank: This worker's number.
        world_size: Number of workers.
        micro_batch_size: Most examples in one of the batches.
        seed: Of what a format draws anew at every step (masked tokens).
        packed: Whether the model can do without padding.
    """
    pad_id = tokenizer.pad_token_id
    drawn = FORMATS[form].draw(features, indices, tokenizer, seed)
    num_units = max(1, sum(feature.num_units for feature in drawn))
    mine = drawn[rank::world_size]
    if micro_batch_size < len(mine) and form not in UNSORTED:
        # The longest first: if they do not fit the device's memory, that is known at once.
        mine = sorted(mine, key=lambda feature: max(map(len, feature.rows)), reverse=True)
    for start in range(0, len(mine), micro_batch_size):
        chosen = mine[start : start + micro_batch_size]
        batch = collate(chosen, form, pad_id, device, labelled=True, packed=packed)
        yield {"task": task, **batch, "scale": world_size / num_units}
