from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from spaces.stages import Mixture
from tests.trainables.similarity.conftest import FEW
from trainables.formats.base import Feature, Head
from trainables.models import load_encoder
from trainables.similarity.bench import Bench
from trainables.similarity.gradient_alignment import gradient_alignment
from trainables.similarity.gradients import example_gradients, gradient_statistics
from trainables.similarity.heads import FittedTask, fit_head
from trainables.similarity.subjects import Subjects
from trainables.similarity.task2vec import mean_cosine, task2vec


class OneMatrix(nn.Module):
    """An encoder of one matrix: state = W e(token), with e(1) = (1, 0) and e(2) = (2, 3)."""

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding.from_pretrained(
            torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 3.0]]), freeze=False
        )
        self.dense = nn.Linear(2, 2, bias=False)
        self.dense.weight.data = torch.tensor([[0.5, -0.5], [0.25, 1.0]])

    def forward(self, input_ids, attention_mask, output_hidden_states=False):
        return SimpleNamespace(last_hidden_state=self.dense(self.embeddings(input_ids)))


class TwoClasses(Head):
    """Logits (v . state, 0) with v = (2, -1)."""

    def forward(self, states, mask, labels=None):
        score = states[:, 0] @ torch.tensor([2.0, -1.0])
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_hand_computed_gradients():
    # Loss -log p(label); with s = v . W e its gradient with respect to W is (p - y) v e^T, where p
    # is the sigmoid of s and y says whether the label is class 0.
    #   e(1): W e = (0.5, 0.25), s = 0.75, label 0: (sigmoid(0.75) - 1) (2, -1)^T (1, 0)
    #   e(2): W e = (-0.5, 3.5), s = -4.5, label 1: sigmoid(-4.5) (2, -1)^T (2, 3)
    features = (Feature(((1,),), 0, 0), Feature(((2,),), 1, 1))
    task = FittedTask(OneMatrix(), TwoClasses(), "sequence_classification", features, 0, 0)
    found = example_gradients(task, 0, torch.device("cpu"))
    a, b = sigmoid(0.75) - 1, sigmoid(-4.5)
    first = torch.tensor([[2 * a, 0.0], [-a, 0.0]])
    second = torch.tensor([[4 * b, 6 * b], [-2 * b, -3 * b]])
    assert set(found.mean) == {"dense.weight"}
    expected = ((first + second) / 2).flatten().double()
    assert torch.allclose(found.mean["dense.weight"], expected, atol=1e-6)
    fisher = ((first**2 + second**2) / 2).mean(1).double()
    assert torch.allclose(found.fisher["dense.weight"], fisher, atol=1e-6)


def test_hand_computed_comparisons():
    first = {"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([3.0, 4.0])}
    second = {"a": torch.tensor([1.0, 1.0]), "b": torch.tensor([30.0, 40.0])}
    # Each part counts alike, however large: 1 / sqrt 2, and 1.
    assert mean_cosine(first, second) == pytest.approx((1 / math.sqrt(2) + 1) / 2)
    assert math.isnan(mean_cosine({}, {}))


@pytest.mark.parametrize("name", ["mini_entail", "mini_completion", "mini_pos", "mini_xqa"])
def test_a_head_is_fitted_and_the_encoder_left_alone(bench, subjects, name):
    (portion,) = bench.portions(subjects[name])
    task = fit_head(bench, portion)
    assert task.last_loss < task.first_loss
    base = load_encoder(bench.preparation.model_path, dropout=0.0)
    for parameter, before in zip(task.encoder.parameters(), base.parameters(), strict=True):
        assert torch.equal(parameter, before)
    assert not any(parameter.requires_grad for parameter in task.encoder.parameters())
    again = fit_head(bench, portion)
    assert again.last_loss == task.last_loss


def test_the_language_models_head_stays_as_it_is(bench, subjects):
    (portion,) = bench.portions(subjects["mini_mlm"])
    task = fit_head(bench, portion)
    assert task.first_loss == task.last_loss == 0
    loss = task.loss(task.features[0], bench.tokenizer.pad_token_id, bench.device)
    # Better than chance among 474 subwords: it was pre-trained.
    assert 0 < float(loss) < math.log(474)


@pytest.mark.parametrize("measure", [task2vec, gradient_alignment])
def test_equal_tasks_are_alike_and_others_less(bench, subjects, measure):
    for name in ("mini_entail", "mini_completion", "mini_mlm", "mini_xqa"):
        subject = subjects[name]
        assert measure(bench, subject, subject).value == pytest.approx(1)
        other = measure(bench, subject, subjects["mini_pos"])
        assert other.value < 1
        assert other.value == pytest.approx(measure(bench, subjects["mini_pos"], subject).value)
        assert other.num_examples == 24


def test_a_target_without_labels_has_no_gradients(bench, subjects):
    found = task2vec(bench, subjects["mini_entail"], subjects["mini_tatoeba"])
    assert math.isnan(found.value)
    assert found.note == "mini_tatoeba has no labelled training examples of its own"


def test_a_mixture_has_the_weighted_gradients_of_its_parts(tiny_study):
    stages = {"both": {"tasks": ["squad1", "xnli"], "sampling": "proportional"}}
    tasks = ["both", "squad1", "xnli"]
    study, preparation, root = tiny_study(intermediate={"tasks": tasks, "stages": stages})
    bench = Bench(study, preparation, root, replace(FEW, num_examples=80))
    both, squad, xnli = Subjects(study, preparation, root).sources
    assert both.mixture == Mixture.of("squad1", "xnli")
    mixed, first, second = (gradient_statistics(bench, s) for s in (both, squad, xnli))
    for name, gradient in mixed.mean.items():
        expected = (first.mean[name] + second.mean[name]) / 2
        assert torch.allclose(gradient, expected, atol=1e-7)
    for name, fisher in mixed.fisher.items():
        assert torch.allclose(fisher, (first.fisher[name] + second.fisher[name]) / 2)
