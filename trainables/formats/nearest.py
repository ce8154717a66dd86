"""Exact nearest neighbours by cosine, in blocks of both sides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

#: Scores of one pair of blocks take 128 MiB, whatever the number of queries and candidates.
QUERY_BLOCK = 2048
CANDIDATE_BLOCK = 16384


def nearest(
    queries: Sequence[Tensor], candidates: Sequence[Tensor], count: int
) -> tuple[Tensor, Tensor]:
    """Return each query's best candidates, best first; of equal ones the earlier first.

    Every query meets every candidate: nothing is approximated. Beyond its arguments it holds one
    copy of the queries, one block of candidates, one block of scores, and the best so far.

    Args:
        queries: Vectors, Q of them, each of `H` 32-bit floats on the CPU.
        candidates: Vectors, at least one.
        count: How many to find; all candidates if there are fewer.

    Returns:
        Cosines and positions in ``candidates``, `Q x K`.
    """
    count = min(count, len(candidates))
    queries_QH = _unit(queries)
    cosines_QK = torch.empty((len(queries), 0))
    positions_QK = torch.empty((len(queries), 0), dtype=torch.long)
    for start in range(0, len(candidates), CANDIDATE_BLOCK):
        block_BH = _unit(candidates[start : start + CANDIDATE_BLOCK])
        found = [
            _best(part_H @ block_BH.T, count) for part_H in torch.split(queries_QH, QUERY_BLOCK)
        ]
        cosines_QK = torch.cat([cosines_QK, torch.cat([scores for scores, _ in found])], dim=1)
        positions_QK = torch.cat(
            [positions_QK, torch.cat([start + places for _, places in found])], dim=1
        )
        # Those of earlier blocks stand first, and a stable sort leaves equal ones in their order.
        cosines_QK, order_QK = cosines_QK.sort(dim=1, descending=True, stable=True)
        cosines_QK, order_QK = cosines_QK[:, :count], order_QK[:, :count]
        positions_QK = positions_QK.gather(1, order_QK)
    return cosines_QK, positions_QK


def _unit(vectors: Sequence[Tensor]) -> Tensor:
    stacked = torch.stack(list(vectors))
    return functional.normalize(stacked, dim=1, out=stacked)


def _best(scores_QB: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the best scores and their places in order; ``topk`` alone leaves ties open."""
    best_QK, place_QK = scores_QB.topk(min(count + 1, scores_QB.shape[1]), dim=1)
    if best_QK.shape[1] > count:
        # Of candidates that tie for the last place, topk takes any: there, all are sorted.
        tied_Q = best_QK[:, count] == best_QK[:, count - 1]
        best_QK, place_QK = best_QK[:, :count], place_QK[:, :count]
        if tied_Q.any():
            values, places = scores_QB[tied_Q].sort(dim=1, descending=True, stable=True)
            best_QK[tied_Q], place_QK[tied_Q] = values[:, :count], places[:, :count]
    place_QK, order_QK = place_QK.sort(dim=1)
    best_QK, again_QK = best_QK.gather(1, order_QK).sort(dim=1, descending=True, stable=True)
    return best_QK, place_QK.gather(1, again_QK)
