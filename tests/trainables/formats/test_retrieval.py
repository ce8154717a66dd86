from __future__ import annotations

import logging
import math
import pickle

import pytest
import torch

from spaces.errors import InputError
from tests.trainables import tiny
from trainables.batches import collate
from trainables.formats import FORMATS
from trainables.formats.base import HeadSettings
from trainables.formats.retrieval import BiEncoderHead
from trainables.metrics import METRICS
from trainables.models import build_model
from trainables.records import RetrievalRecord

FORM = FORMATS["retrieval"]
RECORDS = [
    RetrievalRecord("q1", "anna", True, ("c2",)),
    RetrievalRecord("c1", "bert sees", False, ()),
    RetrievalRecord("q2", "rome", True, ("c1", "c2")),
    RetrievalRecord("c2", "paris", False, ()),
]
TASK = {"pairs": ("retrieval", 0)}


def head(**options):
    return FORM.head(HeadSettings("pairs", 32, 12, 0, 0.0, options))


def rows_of(*texts):
    return tuple(tuple(tiny.tokenizer()(text)["input_ids"]) for text in texts)


def test_candidates_are_ranked_by_cosine():
    encoding = tiny.encoding("retrieval")
    features = FORM.encode(RECORDS, encoding)
    assert [f.rows for f in features] == [rows_of(r.text) for r in RECORDS]
    vectors = torch.tensor([[1.0, 0.0], [0.0, 9.0], [0.1, 0.2], [5.0, 1.0]])
    outputs = FORM.outputs(vectors, features)
    predictions = FORM.decode(RECORDS, features, outputs, encoding)
    assert predictions == {
        "q1": [("c2", pytest.approx(5 / math.sqrt(26))), ("c1", 0.0)],
        "q2": [("c1", pytest.approx(2 / 5**0.5)), ("c2", pytest.approx(0.7 / math.sqrt(5 * 0.26)))],
    }
    golds = {r.id: r.gold for r in RECORDS if r.is_query}
    assert METRICS["retrieval_accuracy"].compute(predictions, golds, "de") == {"accuracy": 100.0}


def test_one_side_alone_ranks_nothing():
    encoding = tiny.encoding("retrieval")
    features = FORM.encode(RECORDS[:1], encoding)
    assert FORM.decode(RECORDS[:1], features, [torch.ones(2)], encoding) == {}
    assert FORM.encode([], encoding) == []
    assert FORM.encode_training([], encoding) == []


def test_a_vector_is_sent_to_another_worker_without_its_batch():
    batch = torch.randn(64, 32)
    (first, *_) = FORM.outputs(batch, FORM.encode(RECORDS, tiny.encoding("retrieval")))
    assert len(pickle.dumps(first)) < 1000


def test_training_pairs_a_query_with_its_first_right_candidate():
    features = FORM.encode_training(RECORDS, tiny.encoding("retrieval"))
    assert [f.rows for f in features] == [rows_of("anna", "paris"), rows_of("rome", "bert sees")]
    assert [(f.record, f.label, f.num_units) for f in features] == [(0, 0, 1), (2, 0, 1)]


def test_queries_without_their_candidate_are_counted(caplog):
    lost = [
        *RECORDS[:3],  # without q1's candidate
        RetrievalRecord("q3", "oslo", True, ()),
        RetrievalRecord("q4", "lima", True, None),
    ]
    with caplog.at_level(logging.WARNING):
        features = FORM.encode_training(lost, tiny.encoding("retrieval"))
    assert [f.label for f in features] == [None, 0, None, None]
    assert "task tatoeba: 3 of 4 queries are left out of training" in caplog.text


def test_loss_by_hand():
    states = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]], [[1.0, 0.0]], [[4.0, 3.0]]])
    bi_encoder = head()
    features = FORM.encode_training(RECORDS, tiny.encoding("retrieval"))
    labels = FORM.labels(features, 1)
    assert labels.tolist() == [0, 1]
    logits = bi_encoder(states, torch.ones(4, 1), labels)
    torch.testing.assert_close(logits, torch.tensor([[80.0, 96.0], [0.0, 80.0]]))
    loss = FORM.loss(logits, labels)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(16)) + math.log(1 + math.exp(-80)))
    loss.backward()
    assert bi_encoder.scale.grad.item() == pytest.approx(0.16, abs=1e-6)


def test_a_pair_alone_in_its_batch_teaches_nothing():
    logits = head()(torch.randn(2, 3, 8), torch.ones(2, 3), torch.tensor([0]))
    assert FORM.loss(logits, torch.tensor([0])).item() == 0


def test_pooling():
    states = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert head()(states, mask).tolist() == [[2.0, 3.0], [7.0, 8.0]]
    assert head(pooling="first")(states, mask).tolist() == [[0.0, 1.0], [6.0, 7.0]]


def test_an_unknown_pooling_is_refused():
    with pytest.raises(InputError, match=r"'pairs': options\.pooling is 'max'\. Choose mean or"):
        head(pooling="max")
    with pytest.raises(InputError, match=r"'tatoeba': options\.pooling is 'cls'"):
        FORM.encode(RECORDS, tiny.encoding("retrieval", options={"pooling": "cls"}))
    with pytest.raises(InputError, match=r"'tatoeba': options\.pooling is 'cls'"):
        FORM.encode_training(RECORDS, tiny.encoding("retrieval", options={"pooling": "cls"}))


@pytest.mark.parametrize(
    ("options", "layer"),
    [({}, None), ({"layer": 0}, 0), ({"layer": 12}, 12), ({"layer": 13, "layer_of": 24}, 7)],
)
def test_the_layer_is_scaled_to_the_model(options, layer):
    assert head(**options).layer == layer


@pytest.mark.parametrize("options", [{"layer": 13}, {"layer": -1}])
def test_a_layer_that_is_not_there_is_refused(options):
    with pytest.raises(InputError, match=r"options\.layer is .*, the model has 12 layers"):
        head(**options)


@pytest.mark.parametrize("options", [{}, {"layer": 1}, {"pooling": "first", "layer": 1}])
def test_the_model_pools_the_tasks_layer_in_training_and_evaluation(tiny_model, options):
    model = build_model(
        str(tiny_model), TASK, dropout=0.0, seed=0, options={"pairs": options}
    ).eval()
    features = FORM.encode_training(RECORDS, tiny.encoding("retrieval"))
    batch = collate(features, "retrieval", 1, torch.device("cpu"), labelled=True)
    vectors = model("pairs", batch["input_ids"], batch["attention_mask"])
    states = model.encoder(
        batch["input_ids"], batch["attention_mask"], output_hidden_states=True
    ).hidden_states[options.get("layer", 2)]
    for row, vector in enumerate(vectors):
        mine = states[row][batch["attention_mask"][row].bool()]
        expected = mine[0] if "pooling" in options else mine.mean(0)
        torch.testing.assert_close(vector, expected)
    loss = model("pairs", **batch, scale=0.5)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    cosines = unit[0::2] @ unit[1::2].T
    expected = torch.nn.functional.cross_entropy(100 * cosines, torch.tensor([0, 1]))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    # Layers above the pooled one take part, with a gradient of zero.
    assert all(p.grad is not None for p in model.parameters())
    top = [p.grad.abs().max() for p in model.encoder.encoder.layer[1].parameters()]
    assert (max(top) == 0) == ("layer" in options)


def test_the_head_has_one_weight():
    assert [name for name, _ in BiEncoderHead("mean", None).named_parameters()] == ["scale"]
