from __future__ import annotations

import math

import pytest
import torch

from spaces.errors import DataError
from tests.trainables import tiny
from trainables.formats import FORMATS
from trainables.records import ClassificationRecord

FORM = FORMATS["sequence_classification"]


def record(label="neutral", pair="anna sees rome", text="bert sees the house"):
    return ClassificationRecord("r", text, pair, label)


def test_a_pair_is_encoded_with_double_separator():
    (feature,) = FORM.encode([record()], tiny.encoding("sequence_classification"))
    pieces = tiny.tokenizer().convert_ids_to_tokens(feature.rows[0])
    expected = "<s> ▁bert ▁sees ▁the ▁house </s> </s> ▁anna ▁sees ▁rome </s>"
    assert pieces == expected.split()
    assert feature.label == 1


def test_single_texts_get_no_second_segment():
    (feature,) = FORM.encode([record(pair=None)], tiny.encoding("sequence_classification"))
    assert feature.rows[0].count(tiny.tokenizer().eos_token_id) == 1


def test_the_longer_text_is_cut_first():
    long = record(text="anna " * 40, pair="rome")
    (feature,) = FORM.encode([long], tiny.encoding("sequence_classification", max_length=16))
    pieces = tiny.tokenizer().convert_ids_to_tokens(feature.rows[0])
    assert len(pieces) == 16
    assert pieces[-2:] == ["▁rome", "</s>"]


def test_loss_is_the_summed_cross_entropy():
    logits = torch.tensor([[0.0, math.log(3.0), 0.0], [1.0, 1.0, 1.0]])
    loss = FORM.loss(logits, torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(-math.log(3 / 5) + math.log(3))


def test_predictions_are_label_names():
    encoding = tiny.encoding("sequence_classification")
    records = [record(), ClassificationRecord("s", "anna", "rome", None)]
    features = FORM.encode(records, encoding)
    outputs = FORM.outputs(torch.tensor([[3.0, 1, 2], [0, 1, 2]]), features)
    assert FORM.decode(records, features, outputs, encoding) == {
        "r": "entailment",
        "s": "contradiction",
    }
    assert features[1].label is None


def test_an_unknown_label_is_named_with_near_matches():
    with pytest.raises(DataError, match=r"'neutrl', which is not one of.*Did you mean 'neutral'"):
        FORM.encode([record("neutrl")], tiny.encoding("sequence_classification"))


def test_no_records_give_no_features():
    assert FORM.encode([], tiny.encoding("sequence_classification")) == []
