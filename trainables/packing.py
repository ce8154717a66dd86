"""Rows of a batch laid end to end, so that no layer computes anything for padding.

A packed batch is one long row. Attention must not cross from one of its rows to the next, and a
row's positions start anew: ``trainables.attention`` and ``trainables.models`` see to both. Where
the rows are put back, `R x T` again, nothing downstream knows that they were packed.

Shapes: R rows, T tokens of the longest row, N tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

#: Rows are looked at together while the longest is not longer than this beside the shortest: a
#: part of itself or a few tokens, whichever is more. Measured on one CPU core.
GROUP_STRETCH, GROUP_SLACK = 1.25, 8


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that follow each other and are of similar length; attention runs on them as one batch.

    Attributes:
        start: First of their tokens in the packed row.
        end: One after the last.
        num_rows: How many they are.
        num_tokens: Tokens of the longest.
        places: Where the tokens are in the group's padded rows, `n`; ``None`` if all rows are of
            the same length.
        mask: Whether a token is there, `num_rows x 1 x 1 x num_tokens`; ``None`` likewise.
    """

    start: int
    end: int
    num_rows: int
    num_tokens: int
    places: Tensor | None
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class Packing:
    """How the rows of a batch lie in one packed row, the shortest first.

    Attributes:
        places: Where each packed token is in the padded batch, flattened, `N`: row times T plus
            position.
        positions: Each token's position in its row, from 0, `1 x N`.
        offsets: Where each packed row starts, and the end of the last one, `R + 1`,
            32-bit integers.
        longest: T.
        shortest: Tokens of the shortest row.
        groups: Rows to look at together where there is no kernel for rows of any length.
    """

    places: Tensor
    positions: Tensor
    offsets: Tensor
    longest: int
    shortest: int
    groups: tuple[Group, ...]

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Packing:
        """Return the packing with its tensors on a device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Packing:
        """Return the packing with its tensors in page-locked memory."""
        return self._with(lambda tensor: tensor.pin_memory())

    def _with(self, moved: Callable[[Tensor], Tensor]) -> Packing:
        groups = tuple(
            group
            if group.places is None or group.mask is None
            else replace(group, places=moved(group.places), mask=moved(group.mask))
            for group in self.groups
        )
        return replace(
            self,
            places=moved(self.places),
            positions=moved(self.positions),
            offsets=moved(self.offsets),
            groups=groups,
        )


def pack(lengths: Sequence[int]) -> Packing:
    """Lay rows of the given lengths end to end.

    >>> pack([3, 1]).places.tolist()  # row 1 first: its only token, then the three of row 0
    [3, 0, 1, 2]
    """
    longest = max(lengths)
    order = np.argsort(lengths, kind="stable")
    sizes = np.asarray(lengths, dtype=np.int64)[order]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
    places = np.repeat(order * longest, sizes) + positions
    return Packing(
        places=torch.from_numpy(places),
        positions=torch.from_numpy(positions).unsqueeze(0),
        # The kernels take no wider ones.
        offsets=torch.from_numpy(offsets.astype(np.int32)),
        longest=longest,
        shortest=int(sizes[0]),
        groups=tuple(_groups(sizes.tolist(), offsets.tolist())),
    )


def unpacked(packed_NH: Tensor, packing: Packing, num_rows: int) -> Tensor:
    """Put packed states back, `R x T x H`; padding is zero."""
    padded = packed_NH.new_zeros(num_rows * packing.longest, packed_NH.shape[-1])
    padded = padded.index_copy(0, packing.places, packed_NH)
    return padded.view(num_rows, packing.longest, -1)


def _groups(sizes: list[int], offsets: list[int]) -> list[Group]:
    """Cut rows, the shortest first, into groups of similar length."""
    groups, first = [], 0
    for i in range(1, len(sizes) + 1):
        limit = max(sizes[first] * GROUP_STRETCH, sizes[first] + GROUP_SLACK)
        if i < len(sizes) and sizes[i] <= limit:
            continue
        groups.append(_group(sizes[first:i], offsets[first], offsets[i]))
        first = i
    return groups


def _group(sizes: list[int], start: int, end: int) -> Group:
    num_rows, longest = len(sizes), sizes[-1]
    if sizes[0] == longest:
        return Group(start, end, num_rows, longest, None, None)
    mask = torch.arange(longest) < torch.tensor(sizes)[:, None]
    places = mask.flatten().nonzero().squeeze(1)
    return Group(start, end, num_rows, longest, places, mask[:, None, None, :])
