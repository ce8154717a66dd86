from __future__ import annotations

import math

import pytest
import torch

from trainables.similarity.sketch import SIZE, cosine, sketch


def test_short_vectors_are_kept():
    values = torch.arange(6.0).reshape(2, 3)
    assert sketch(values, "w").tolist() == [0, 1, 2, 3, 4, 5]
    kept = sketch(torch.ones(SIZE), "w")
    assert kept.shape == (SIZE,)
    assert torch.equal(kept, torch.ones(SIZE, dtype=torch.float64))


def test_a_sketch_is_linear_and_named():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 100, generator=generator, dtype=torch.float64)
    both = sketch(first + 3 * second, "w", 16)
    assert torch.allclose(both, sketch(first, "w", 16) + 3 * sketch(second, "w", 16))
    assert not torch.allclose(sketch(first, "w", 16), sketch(first, "v", 16))


def test_inner_products_are_right_on_average_and_within_the_bound():
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(2000, generator=generator, dtype=torch.float64)
    second = first + torch.randn(2000, generator=generator, dtype=torch.float64)
    exact, size = float(first @ second), 200
    found = torch.tensor(
        [float(sketch(first, str(i), size) @ sketch(second, str(i), size)) for i in range(200)]
    )
    bound = math.sqrt(2 / size) * float(first.norm() * second.norm())
    assert float(found.std()) < bound
    # The mean of 200 sketches, within four standard errors.
    assert float(found.mean()) == pytest.approx(exact, abs=4 * bound / math.sqrt(200))


def test_a_cosine_over_parts_is_that_of_the_whole():
    first = {"a": torch.tensor([3.0]).double(), "b": torch.tensor([0.0, 4.0]).double()}
    second = {"a": torch.tensor([1.0]).double(), "b": torch.tensor([2.0, 2.0]).double()}
    assert cosine(first, second) == pytest.approx((3 + 8) / (5 * 3))
    assert math.isnan(cosine(first, {"a": torch.zeros(1).double(), "b": torch.zeros(2).double()}))
