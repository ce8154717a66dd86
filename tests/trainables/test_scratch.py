from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import XLMRobertaForMaskedLM

from tests.trainables import tiny
from trainables.models import load_tokenizer
from trainables.pretraining import mask_tokens, pad, save_model, train_tokenizer
from trainables.records import ClassificationRecord, QuestionRecord, TextRecord
from trainables.scratch import build_scratch_model, record_texts, study_texts


@pytest.fixture(scope="module")
def scratch():
    """Return a study whose model is made from its own text."""
    model = {
        "name": "scratch",
        "hidden_size": 32,
        "num_layers": 1,
        "vocab_size": 300,
        "pretraining": {"steps": 12, "batch_size": 8, "learning_rate": 5e-3},
    }
    return tiny.study("scratch", model=model)


def test_a_scratch_model_is_made_and_made_again_alike(scratch, data_root, tmp_path):
    for name in ("one", "two"):
        build_scratch_model(scratch.model_dump(mode="json"), str(data_root), str(tmp_path / name))
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    tokenizer = load_tokenizer(str(tmp_path / "one"))
    assert tokenizer.tokenize("anna sees") == ["▁anna", "▁sees"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_text_is_every_language_that_is_read(scratch, data_root):
    texts = study_texts(scratch, data_root)
    assert set(texts) == {"en", "de", "fr"}
    assert all(len(lines) == len(set(lines)) for lines in texts.values())
    assert all(line == line.strip() != "" for lines in texts.values() for line in lines)


def test_texts_of_records_leave_labels_out():
    assert record_texts(ClassificationRecord("i", "a", None, "yes")) == ("a", "")
    assert record_texts(QuestionRecord("i", "q", "c", ())) == ("q", "c")
    assert record_texts(TextRecord("i", "t")) == ("t",)


def test_special_tokens_are_in_the_order_of_xlmr():
    tokenizer = train_tokenizer(["anna sees rome"] * 9, 60)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert tokenizer.mask_token_id == len(tokenizer) - 1


def test_masking_hides_a_share_and_no_special_token():
    generator = torch.Generator().manual_seed(0)
    ids = pad([[0, *range(5, 45), 2]] * 300)
    inputs, labels = mask_tokens(ids, 50, 49, generator)
    hidden = labels != -100
    assert (labels[hidden] == ids[hidden]).all()
    assert (inputs[~hidden] == ids[~hidden]).all()
    assert not hidden[:, [0, -1]].any()
    share = hidden.float().mean().item() * 42 / 40
    assert share == pytest.approx(0.15, abs=0.01)
    assert (inputs[hidden] == 49).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert (inputs[hidden] == ids[hidden]).float().mean().item() == pytest.approx(0.1, abs=0.03)


def test_weights_are_in_place_last(tiny_model, tmp_path, monkeypatch):
    model = XLMRobertaForMaskedLM.from_pretrained(tiny_model)
    moved = []
    real = Path.replace
    monkeypatch.setattr(Path, "replace", lambda a, b: moved.append(b.name) or real(a, b))
    save_model(model, tiny.tokenizer(), tmp_path / "m")
    assert moved[-1] == "model.safetensors"
    assert moved.count("config.json") == 1
