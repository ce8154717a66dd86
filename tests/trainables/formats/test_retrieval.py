from __future__ import annotations

import pytest
import torch

from tests.trainables import tiny
from trainables.formats import FORMATS, retrieval
from trainables.records import RetrievalRecord

FORM = FORMATS["retrieval"]
RECORDS = [
    RetrievalRecord("q1", "anna", True, ("c2",)),
    RetrievalRecord("c1", "bert", False, ()),
    RetrievalRecord("q2", "rome", True, ("c1",)),
    RetrievalRecord("c2", "paris", False, ()),
]


@pytest.mark.parametrize("block", [1, 4096])
def test_candidates_are_ranked_by_cosine(monkeypatch, block):
    monkeypatch.setattr(retrieval, "BLOCK", block)
    encoding = tiny.encoding("retrieval")
    features = FORM.encode(RECORDS, encoding)
    vectors = torch.tensor([[1.0, 0.0], [0.0, 9.0], [0.1, 0.2], [5.0, 1.0]])
    outputs = FORM.outputs(vectors, features)
    assert FORM.decode(RECORDS, features, outputs, encoding) == {
        "q1": ["c2", "c1"],
        "q2": ["c1", "c2"],
    }


def test_one_side_alone_ranks_nothing():
    encoding = tiny.encoding("retrieval")
    features = FORM.encode(RECORDS[:1], encoding)
    assert FORM.decode(RECORDS[:1], features, [torch.ones(2)], encoding) == {}
    assert FORM.encode([], encoding) == []


def test_there_is_nothing_to_train():
    with pytest.raises(NotImplementedError):
        FORM.labels([], 1)
    with pytest.raises(NotImplementedError):
        FORM.loss(torch.zeros(1), torch.zeros(1))
