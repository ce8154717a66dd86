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

from trainables.formats import FORMATS
from trainables.formats.base import Feature, Tokenizer, pad_rows


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
    features: Sequence[Feature], form: str, pad_id: int, device: torch.device, *, labelled: bool
) -> dict[str, Any]:
    """Pad a batch of features to its longest row.

    Returns:
        ``input_ids`` and ``attention_mask``, `R x T`, and with ``labelled`` the format's labels.
    """
    rows = [row for feature in features for row in feature.rows]
    lengths = torch.tensor([len(row) for row in rows])
    longest = int(lengths.max())
    input_ids = pad_rows(rows, longest, pad_id)
    mask = (torch.arange(longest) < lengths[:, None]).long()
    batch = {"input_ids": input_ids.to(device), "attention_mask": mask.to(device)}
    if labelled:
        batch["labels"] = FORMATS[form].labels(features, longest).to(device)
    return batch


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
) -> Iterator[Mapping[str, Any]]:
    """Yield this worker's share of a global batch as the model's arguments.

    The loss is scaled so that the mean over workers of the summed micro-batches is the mean over
    the units of the *global* batch, whatever the number of workers and micro-batches. (The loss
    of retrieval depends on them all the same: its negatives are those of the micro-batch.)

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
    """
    pad_id = tokenizer.pad_token_id
    drawn = FORMATS[form].draw(features, indices, tokenizer, seed)
    num_units = max(1, sum(feature.num_units for feature in drawn))
    mine = drawn[rank::world_size]
    for start in range(0, len(mine), micro_batch_size):
        batch = collate(mine[start : start + micro_batch_size], form, pad_id, device, labelled=True)
        yield {"task": task, **batch, "scale": world_size / num_units}
