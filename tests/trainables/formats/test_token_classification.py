from __future__ import annotations

import math

import pytest
import torch

from tests.trainables import tiny
from trainables.formats import FORMATS
from trainables.formats.base import IGNORE
from trainables.records import TaggingRecord

FORM = FORMATS["token_classification"]
LABELS = tiny.encoding("token_classification").labels


def oracle(features, records):
    """Return logits that give every word its gold tag, and noise everywhere else."""
    longest = max(f.num_tokens for f in features)
    logits = torch.randn(len(features), longest, len(LABELS))
    for row, feature in enumerate(features):
        for word, position in feature.extra:
            logits[row, position, LABELS.index(records[feature.record].tags[word])] = 99
    return logits


def test_the_first_subword_carries_the_tag():
    record = TaggingRecord("r", ("anna", "annarome", "sees"), ("B-PER", "I-PER", "O"))
    (feature,) = FORM.encode([record], tiny.encoding("token_classification"))
    pieces = tiny.tokenizer().convert_ids_to_tokens(feature.rows[0])
    first = [pieces[position] for _, position in feature.extra]
    assert len(pieces) > 5  # the second word has several subwords
    assert [piece[0] for piece in first] == ["▁"] * 3
    assert [label for label in feature.label if label != IGNORE] == [1, 2, 0]
    assert feature.num_units == 3


def test_every_word_of_a_long_sentence_is_tagged_once_and_recovered():
    words = tuple(tiny.WORDS[i % 28] + "an" * (i % 4) for i in range(50))
    tags = tuple(LABELS[i % len(LABELS)] for i in range(50))
    records = [TaggingRecord("long", words, tags), TaggingRecord("short", ("rome",), ("B-LOC",))]
    encoding = tiny.encoding("token_classification", max_length=12)
    features = FORM.encode(records, encoding)
    assert sum(f.record == 0 for f in features) > 5
    assert [word for f in features if f.record == 0 for word, _ in f.extra] == list(range(50))
    outputs = FORM.outputs(oracle(features, records), features)
    predictions = FORM.decode(records, features, outputs, encoding)
    assert predictions == {"long": list(tags), "short": ["B-LOC"]}


def test_a_word_split_over_two_windows_belongs_to_the_first():
    long_word = "an" * 12
    record = TaggingRecord("r", ("anna", long_word, "rome"), ("B-PER", "B-ORG", "B-LOC"))
    features = FORM.encode([record], tiny.encoding("token_classification", max_length=10))
    assert len(features) >= 3
    assert [[word for word, _ in f.extra] for f in features][:2] == [[0, 1], []]
    assert sum(label != IGNORE for f in features for label in f.label) == 3


def test_loss_counts_labelled_words_alone():
    logits = torch.zeros(1, 4, 2)
    logits[0, 1, 1] = math.log(3)
    loss = FORM.loss(logits, torch.tensor([[IGNORE, 1, 0, IGNORE]]))
    assert loss.item() == pytest.approx(-math.log(3 / 4) + math.log(2))


def test_labels_are_padded_to_the_batch():
    records = tiny.records("token_classification", 2)
    features = FORM.encode(records, tiny.encoding("token_classification"))
    labels = FORM.labels(features, 20)
    assert labels.shape == (2, 20)
    assert labels[0, features[0].num_tokens :].unique().tolist() == [IGNORE]


def test_an_unknown_tag_is_no_part_of_the_loss():
    record = TaggingRecord("r", ("anna", "sees"), ("B-XXX", "O"))
    (feature,) = FORM.encode([record], tiny.encoding("token_classification"))
    assert feature.num_units == 1
    assert [label for label in feature.label if label != IGNORE] == [0]


def test_unlabelled_and_empty_sentences():
    records = [TaggingRecord("u", ("anna",), None), TaggingRecord("e", (), ())]
    encoding = tiny.encoding("token_classification")
    features = FORM.encode(records, encoding)
    assert features[0].label is None
    outputs = FORM.outputs(torch.randn(2, 4, len(LABELS)), features)
    predictions = FORM.decode(records, features, outputs, encoding)
    assert len(predictions["u"]) == 1
    assert predictions["e"] == []


def test_a_word_without_subwords_is_outside():
    record = TaggingRecord("r", ("\u200b", "anna"), ("O", "B-PER"))
    encoding = tiny.encoding("token_classification")
    (feature,) = FORM.encode([record], encoding)
    output = [[1] * len(feature.extra)]
    tags = FORM.decode([record], [feature], output, encoding)["r"]
    assert tags[1] == "B-PER"
    assert len(tags) == 2
    assert tags[0] == ("B-PER" if len(feature.extra) == 2 else "O")


def test_no_records_give_no_features():
    assert FORM.encode([], tiny.encoding("token_classification")) == []
