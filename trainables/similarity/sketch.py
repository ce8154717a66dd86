"""Count sketches: long vectors cut short so that inner products keep their expected value.

Each coordinate goes into a random bucket with a random sign. For sketches of size d of two vectors
a and b, the inner product is right on average and its standard deviation is at most
sqrt(2 / d) |a| |b|; a vector of d coordinates or fewer is kept as it is.

Source: Charikar et al. 2002, doi:10.1007/3-540-45465-9_59; Weinberger et al. 2009,
arXiv:0902.2206, for inner products.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from trainables.batches import derived_seed

#: Of one weight's sketch: the standard deviation of a cosine is then below 0.008.
SIZE = 2**15


def sketch(values: Tensor, name: str, size: int = SIZE) -> Tensor:
    """Return the sketch of a tensor, at most ``size`` long, in 64-bit floats on the CPU.

    Args:
        values: Of any shape.
        name: Decides buckets and signs: tensors are comparable under one name.
        size: Length of the sketch.
    """
    flat = values.detach().flatten().to("cpu", torch.float64)
    if flat.numel() <= size:
        return flat.clone()
    generator = torch.Generator().manual_seed(derived_seed("sketch", name))
    buckets = torch.randint(size, flat.shape, generator=generator)
    signs = torch.randint(2, flat.shape, generator=generator, dtype=torch.int8) * 2 - 1
    return torch.zeros(size, dtype=torch.float64).index_add_(0, buckets, flat * signs)


def cosine(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """Return the cosine of two vectors that are given in named parts; NaN if one is zero."""
    product = sum(float(first[name] @ second[name]) for name in first)
    norms = [sum(float(p @ p) for p in vector.values()) ** 0.5 for vector in (first, second)]
    return product / (norms[0] * norms[1]) if norms[0] and norms[1] else float("nan")
