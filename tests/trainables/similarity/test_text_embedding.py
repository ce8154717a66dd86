from __future__ import annotations

import pytest
import torch

from trainables.models import load_encoder
from trainables.similarity.states import portion_features
from trainables.similarity.text_embedding import embed_texts, mean_states, text_embedding

NAMES = ["mini_entail", "mini_completion", "mini_mlm", "mini_pos", "mini_xqa", "mini_tatoeba"]


def test_a_hand_computed_mean():
    states = torch.tensor([[[1.0, 0.0], [3.0, 2.0]], [[5.0, 5.0], [9.0, 9.0]], [[2.0, 4.0]] * 2])
    mask = torch.tensor([[1, 1], [1, 0], [1, 1]])
    # One example of two rows with three tokens, and one of a single row.
    found = mean_states(states, mask, [2, 1])
    assert torch.allclose(found, torch.tensor([[3.0, 7 / 3], [2.0, 4.0]], dtype=torch.float64))


def test_an_embedding_is_that_of_the_examples_one_by_one(bench, subjects):
    subject = subjects["mini_completion"]
    (portion,) = bench.portions(subject)
    encoder = load_encoder(bench.preparation.model_path, dropout=0.0).eval()
    means = []
    with torch.no_grad():
        for feature in portion_features(bench, portion, labelled=False):
            states = [
                encoder(input_ids=torch.tensor([row])).last_hidden_state[0] for row in feature.rows
            ]
            means.append(torch.cat(states).mean(0))
    expected = torch.stack(means).double().mean(0)
    assert torch.allclose(embed_texts(bench, subject), expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_has_an_embedding(bench, subjects, name):
    same = text_embedding(bench, subjects[name], subjects[name])
    assert same.value == pytest.approx(1)
    other = text_embedding(bench, subjects[name], subjects["mini_pos"])
    assert -1 <= other.value <= 1 + 1e-9
