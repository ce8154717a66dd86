from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainables.similarity.conftest import FEW
from trainables.similarity.bench import Bench
from trainables.similarity.h_score import h_score
from trainables.similarity.labelled_states import labelled_states
from trainables.similarity.logme import log_evidence, logme
from trainables.similarity.states import portion_features


def samples(bench, subject):
    (found,) = labelled_states(bench, bench.base_encoder(), subject)
    return found.states, found.labels


def first_states(bench, subject):
    """Return the state of each row's first token, one row at a time."""
    (portion,) = bench.portions(subject)
    features = portion_features(bench, portion, labelled=True)
    with torch.no_grad():
        states = [
            bench.base_encoder()(input_ids=torch.tensor([row])).last_hidden_state[0, 0]
            for feature in features
            for row in feature.rows
        ]
    return features, torch.stack(states).double().numpy()


def paired(states, labels):
    """Return samples in an order that does not depend on how they were batched."""
    order = np.lexsort(states.round(3).T)
    return states[order], labels[order]


def test_an_example_of_a_classification_is_its_first_token(bench, subjects):
    entail = subjects["mini_entail"]
    features, expected = first_states(bench, entail)
    states, labels = paired(*samples(bench, entail))
    expected, classes = paired(expected, np.array([f.label for f in features]))
    assert np.allclose(states, expected, atol=1e-5)
    assert labels.tolist() == classes.tolist()


def test_a_choice_is_right_or_wrong(bench, subjects):
    completion = subjects["mini_completion"]
    features, expected = first_states(bench, completion)
    right = [int(i == f.label) for f in features for i in range(len(f.rows))]
    states, labels = paired(*samples(bench, completion))
    expected, classes = paired(expected, np.array(right))
    assert np.allclose(states, expected, atol=1e-5)
    assert labels.tolist() == classes.tolist()
    assert labels.sum() == 12


def test_every_word_of_a_tagging_task_is_a_sample(bench, subjects):
    pos = subjects["mini_pos"]
    (portion,) = bench.portions(pos)
    tags = [tag for record in portion.records for tag in record.tags]
    index = {label: i for i, label in enumerate(bench.inputs.labels("mini_pos"))}
    states, labels = samples(bench, pos)
    assert states.shape == (len(tags), 64)
    assert sorted(labels.tolist()) == sorted(index[tag] for tag in tags)


def test_half_of_a_question_answering_task_is_inside_the_answers(bench, subjects):
    xqa = subjects["mini_xqa"]
    (portion,) = bench.portions(xqa)
    features = portion_features(bench, portion, labelled=True)
    inside = sum(end - start + 1 for start, end in (f.label for f in features) if start)
    states, labels = samples(bench, xqa)
    assert labels.sum() == inside
    assert len(labels) == len(states) == 2 * inside


def test_samples_are_bounded(mini, subjects):
    study, preparation = mini
    bench = Bench(study, preparation, None, replace(FEW, max_tokens=20))
    states, labels = samples(bench, subjects["mini_pos"])
    assert len(states) == len(labels) == 20


@pytest.mark.parametrize("name", ["mini_mlm", "mini_tatoeba"])
@pytest.mark.parametrize("measure", [logme, h_score])
def test_other_formats_have_no_labels_to_tell(stored, subjects, measure, name):
    found = measure(stored, subjects["mini_entail"], subjects[name])
    assert math.isnan(found.value)
    assert found.note == f"{name} has no labels that a linear head could tell"


@pytest.mark.parametrize("measure", [logme, h_score])
def test_the_source_tuned_encoder_is_the_stores(stored, subjects, measure):
    entail, completion = subjects["mini_entail"], subjects["mini_completion"]
    pos = subjects["mini_pos"]
    first, second = measure(stored, entail, pos), measure(stored, completion, pos)
    assert first.value != second.value
    assert first.num_examples == 12
    assert measure(stored, entail, pos).value == first.value
    assert math.isfinite(measure(stored, entail, completion).value)


def test_logme_is_that_of_the_tuned_encoders_states(stored, subjects):
    entail, pos = subjects["mini_entail"], subjects["mini_pos"]
    encoder = stored.tuned_encoder(entail)
    (part,) = labelled_states(stored, encoder, pos)
    assert logme(stored, entail, pos).value == log_evidence(part.states, part.labels)
    (plain,) = labelled_states(stored, stored.base_encoder(), pos)
    assert not np.allclose(part.states, plain.states)


@pytest.mark.parametrize("measure", [logme, h_score])
def test_a_stage_that_is_not_in_the_store_is_told(stored, bench, subjects, measure):
    mlm, pos = subjects["mini_mlm"], subjects["mini_pos"]
    found = measure(stored, mlm, pos)
    assert math.isnan(found.value)
    assert found.note == "not in the stage store: mini_mlm"
    assert measure(bench, mlm, pos).note == "no stage store was given"
    # What came before is not taken for it.
    assert math.isfinite(measure(stored, subjects["mini_entail"], pos).value)
    assert math.isnan(measure(stored, mlm, pos).value)
