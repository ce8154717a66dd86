from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from trainables.formats import nearest as module
from trainables.formats.nearest import nearest

# Of length 2, so that their cosines are exact in floats, and most of them tie.
CORNERS = st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4)
BLOCKS = st.integers(1, 9)


def brute(queries, candidates, count):
    """Return (cosine, position) of each query's best by a sort in plain Python."""
    found = []
    for query in queries:
        scored = [
            (float(functional.cosine_similarity(query, candidate, dim=0)), position)
            for position, candidate in enumerate(candidates)
        ]
        found.append(sorted(scored, key=lambda entry: (-entry[0], entry[1]))[:count])
    return found


def in_blocks(queries, candidates, count, query_block, candidate_block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUERY_BLOCK", query_block)
        patch.setattr(module, "CANDIDATE_BLOCK", candidate_block)
        cosines, positions = nearest(queries, candidates, count)
    return [
        list(zip(*row, strict=True))
        for row in zip(cosines.tolist(), positions.tolist(), strict=True)
    ]


@settings(max_examples=200, deadline=None)
@given(
    queries=st.lists(CORNERS, min_size=1, max_size=7),
    candidates=st.lists(CORNERS, min_size=1, max_size=40),
    count=st.integers(1, 12),
    query_block=BLOCKS,
    candidate_block=BLOCKS,
)
def test_blocks_find_what_brute_force_finds_ties_included(
    queries, candidates, count, query_block, candidate_block
):
    queries = [torch.tensor(vector) for vector in queries]
    candidates = [torch.tensor(vector) for vector in candidates]
    found = in_blocks(queries, candidates, count, query_block, candidate_block)
    assert found == brute(queries, candidates, count)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), query_block=BLOCKS, candidate_block=BLOCKS)
def test_blocks_find_the_best_of_any_vectors(seed, query_block, candidate_block):
    generator = torch.Generator().manual_seed(seed)
    queries = list(torch.randn(5, 16, generator=generator) * 3)
    candidates = list(torch.randn(60, 16, generator=generator))
    found = in_blocks(queries, candidates, 20, query_block, candidate_block)
    for ours, theirs in zip(found, brute(queries, candidates, 60), strict=True):
        assert [cosine for cosine, _ in ours] == pytest.approx(
            [c for c, _ in theirs[:20]], abs=1e-6
        )
        cosine_of = {position: cosine for cosine, position in theirs}
        assert len({position for _, position in ours}) == 20
        for cosine, position in ours:
            assert cosine == pytest.approx(cosine_of[position], abs=1e-6)


def test_arguments_are_left_alone():
    queries, candidates = [torch.tensor([3.0, 4.0])], [torch.tensor([0.0, 2.0])]
    cosines, positions = nearest(queries, candidates, 20)
    assert cosines.tolist() == [[pytest.approx(0.8)]]
    assert positions.tolist() == [[0]]
    assert queries[0].tolist() == [3.0, 4.0]
    assert candidates[0].tolist() == [0.0, 2.0]


def test_a_vector_of_zeros_is_near_to_nothing():
    cosines, positions = nearest([torch.zeros(2)], [torch.ones(2), torch.zeros(2)], 2)
    assert cosines.tolist() == [[0.0, 0.0]]
    assert positions.tolist() == [[0, 1]]
