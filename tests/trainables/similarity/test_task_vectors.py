from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.similarity.task_vectors import composed, task_vector

NUMBERS = st.floats(-10, 10)


def test_a_hand_computed_composition():
    base = {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}
    first = {"w": torch.tensor([[2.0, 2.0], [3.0, 4.0]])}  # + 1 at (0, 0)
    second = {"w": torch.tensor([[1.0, 2.0], [3.0, 0.0]])}  # - 4 at (1, 1)
    found = composed(base, [first, second], 0.5)
    assert found["w"].tolist() == [[1.5, 2.0], [3.0, 2.0]]
    assert base["w"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=4), st.floats(0, 2))
def test_a_composition_does_not_know_the_order(start, others, scale):
    base = {"w": torch.tensor([start], dtype=torch.float64)}
    tuned = [{"w": torch.tensor([other], dtype=torch.float64)} for other in others]
    there, back = composed(base, tuned, scale), composed(base, tuned[::-1], scale)
    assert torch.allclose(there["w"], back["w"])
    assert torch.allclose(composed(base, tuned[:1], 1.0)["w"], tuned[0]["w"])


def test_the_cosine_of_what_two_stages_changed(stored, subjects, changes):
    first, second = (
        torch.cat([c.flatten() for c in changes[name].values()]).double()
        for name in ("mini_entail", "mini_completion")
    )
    expected = float(first @ second / (first.norm() * second.norm()))
    entail, completion = subjects["mini_entail"], subjects["mini_completion"]
    # 32-bit weights hold the changes to six digits.
    assert task_vector(stored, entail, completion).value == pytest.approx(expected, abs=1e-4)
    assert task_vector(stored, entail, entail).value == pytest.approx(1)


def test_a_stage_that_is_not_in_the_store_is_told(stored, subjects):
    found = task_vector(stored, subjects["mini_entail"], subjects["mini_mlm"])
    assert math.isnan(found.value)
    assert found.note == "not in the stage store: mini_mlm"
