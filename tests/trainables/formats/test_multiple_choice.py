from __future__ import annotations

import math

import pytest
import torch

from tests.trainables import tiny
from trainables.formats import FORMATS
from trainables.formats.base import IGNORE
from trainables.records import ChoiceRecord

FORM = FORMATS["multiple_choice"]
RECORDS = [
    ChoiceRecord("a", "anna sees", "what", ("rome", "a house"), 1),
    ChoiceRecord("b", "bert finds", "", ("a", "b", "the river"), None),
    ChoiceRecord("c", "dino likes", "", ("red",), 0),
]


def test_each_choice_is_a_row():
    features = FORM.encode(RECORDS, tiny.encoding("multiple_choice"))
    assert [len(f.rows) for f in features] == [2, 3, 1]
    assert [f.label for f in features] == [1, None, 0]
    pieces = tiny.tokenizer().convert_ids_to_tokens(features[0].rows[1])
    assert pieces == ["<s>", "▁anna", "▁sees", "</s>", "</s>", "▁what", "▁a", "▁house", "</s>"]


def test_loss_and_predictions_with_differing_numbers_of_choices():
    features = FORM.encode(RECORDS, tiny.encoding("multiple_choice"))
    labels = FORM.labels(features, 9)
    assert labels.tolist() == [[1, 0, 1, -1], [IGNORE, 2, 3, 4], [0, 5, -1, -1]]
    logits = torch.tensor([[0.0], [math.log(3)], [1.0], [3.0], [2.0], [-9.0]], requires_grad=True)
    loss = FORM.loss(logits, labels)
    assert loss.item() == pytest.approx(-math.log(3 / 4))  # b is unlabelled, c has no choice
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    outputs = FORM.outputs(logits.detach(), features)
    predictions = FORM.decode(RECORDS, features, outputs, tiny.encoding("multiple_choice"))
    assert predictions == {"a": 1, "b": 1, "c": 0}


def test_no_records_give_no_features():
    assert FORM.encode([], tiny.encoding("multiple_choice")) == []
