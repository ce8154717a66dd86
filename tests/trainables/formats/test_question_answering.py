from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.errors import InputError
from tests.trainables import tiny
from trainables.formats import FORMATS
from trainables.records import Answer, QuestionRecord

FORM = FORMATS["question_answering"]


def question(context, answer=None, start=None, text="where is rome"):
    if answer is None:
        return QuestionRecord("q", text, context, ())
    at = context.index(answer) if start is None else start
    return QuestionRecord("q", text, context, (Answer(answer, at),))


def oracle(features):
    """Return logits that point at every window's own label."""
    longest = max(f.num_tokens for f in features)
    logits = torch.zeros(len(features), longest, 2)
    for row, feature in enumerate(features):
        start, end = feature.label
        logits[row, start, 0] = logits[row, end, 1] = 50.0 if start else 1.0
    return logits


def answer_of(record, encoding):
    features = FORM.encode([record], encoding)
    outputs = FORM.outputs(oracle(features), features)
    return FORM.decode([record], features, outputs, encoding)["q"], features


def test_a_span_is_found_and_read_back():
    record = question("anna sees the blue house near paris", "blue house")
    answer, features = answer_of(record, tiny.encoding("question_answering"))
    assert len(features) == 1
    assert answer == "blue house"
    pieces = tiny.tokenizer().convert_ids_to_tokens(features[0].rows[0])
    start, end = features[0].label
    assert pieces[start : end + 1] == ["▁blue", "▁house"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(tiny.WORDS), min_size=1, max_size=70), st.data())
def test_the_oracle_recovers_every_span_in_windows(words, data):
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(len(words) - 1, first + 4)))
    context = " ".join(words)
    start = len(" ".join(words[:first])) + (first > 0)
    gold = " ".join(words[first : last + 1])
    encoding = tiny.encoding("question_answering", max_length=24)
    answer, features = answer_of(question(context, gold, start), encoding)
    assert answer == gold
    # Windows overlap and leave nothing out.
    spans = [f.extra[1] for f in features]
    assert spans[0][0][0] == 0
    assert spans[-1][-1][1] == len(context)
    assert all(after[0][0] <= before[-1][1] for before, after in itertools.pairwise(spans))


def test_an_answer_cut_by_every_window_is_labelled_absent():
    context = " ".join(["anna"] * 60)
    record = question(context, context, 0)
    features = FORM.encode([record], tiny.encoding("question_answering", max_length=24))
    assert len(features) > 2
    assert {f.label for f in features} == {(0, 0)}


def test_a_question_longer_than_half_the_window_is_cut():
    record = question("anna sees rome today", "rome", text="who " * 50)
    answer, features = answer_of(record, tiny.encoding("question_answering", max_length=16))
    assert answer == "rome"
    assert max(f.num_tokens for f in features) <= 16


@pytest.mark.parametrize("max_length", [8, 9, 10, 12, 16, 31])
def test_the_shortest_windows_still_move_on(max_length):
    record = question("anna sees rome today and bert finds paris", "paris", text="who sees rome")
    encoding = tiny.encoding("question_answering", max_length=max_length)
    assert answer_of(record, encoding)[0] == "paris"


def test_a_window_without_room_is_refused():
    with pytest.raises(InputError, match="max_length 5 leaves no room"):
        FORM.encode([question("anna")], tiny.encoding("question_answering", max_length=5))


@pytest.mark.parametrize("context", ["", " "])
def test_a_context_without_text_has_no_answer(context):
    record = question(context)
    answer, features = answer_of(record, tiny.encoding("question_answering"))
    assert answer == ""
    assert features[0].label == (0, 0)


def test_unanswerable_is_said_only_where_the_task_may():
    record = question("anna sees rome today")
    features = FORM.encode([record], tiny.encoding("question_answering"))
    outputs = [(5.0, 1.0, features[0].extra[0], features[0].extra[0])]
    may = tiny.encoding("question_answering", options={"no_answer": True})
    assert FORM.decode([record], features, outputs, may) == {"q": ""}
    assert FORM.decode([record], features, outputs, tiny.encoding("question_answering")) == {
        "q": "anna"
    }


def test_the_best_window_wins():
    record = question(" ".join(tiny.WORDS * 2))
    encoding = tiny.encoding("question_answering", max_length=24)
    features = FORM.encode([record], encoding)
    scores = [(0.0, float(i == 2), f.extra[0], f.extra[0]) for i, f in enumerate(features)]
    start, end = features[2].extra[1][0]
    assert FORM.decode([record], features, scores, encoding)["q"] == record.context[start:end]


def test_spans_keep_to_the_context_their_order_and_their_length():
    record = question(" ".join(tiny.WORDS * 2))
    (feature,) = FORM.encode([record], tiny.encoding("question_answering", max_length=120))
    first, offsets = feature.extra
    logits = torch.zeros(1, feature.num_tokens, 2)
    logits[0, 1, 0] = logits[0, 2, 1] = 90  # in the question
    logits[0, first + 9, 0] = 9
    logits[0, first + 3, 1] = 9  # before the start
    logits[0, first + 45, 1] = 8  # too far
    logits[0, first + 11, 1] = 7
    ((null, score, start, end),) = FORM.outputs(logits, [feature])
    assert (null, score, start - first, end - first) == (0.0, 16.0, 9, 11)
    assert len(offsets) > 46


def test_loss_ignores_padding():
    logits = torch.zeros(2, 4, 2)
    labels = torch.tensor([[1, 2, 4], [0, 0, 2]])
    logits[1, 2:] = 50.0  # padding, whatever the model says there
    loss = FORM.loss(logits, labels)
    assert loss.item() == pytest.approx(math.log(4) + math.log(2))


def test_unlabelled_records_are_left_out_of_training_and_predicted():
    record = QuestionRecord("q", "who", "anna sees rome", None)
    features = FORM.encode([record], tiny.encoding("question_answering"))
    assert features[0].label is None
    assert FORM.encode([], tiny.encoding("question_answering")) == []
