from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from spaces.errors import InputError
from tests.trainables import tiny
from trainables.models import build_model, load_encoder, load_tokenizer

TASKS = {"xnli": ("sequence_classification", 3), "panx": ("token_classification", 7)}


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A copy of the tiny model's folder, to be damaged."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def test_a_hub_folder_loads(tiny_model):
    names = {path.name for path in tiny_model.iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= names
    assert load_tokenizer(str(tiny_model)).pad_token_id == 1
    encoder = load_encoder(str(tiny_model), dropout=0.25)
    assert encoder.config.hidden_dropout_prob == 0.25
    assert encoder.config.attention_probs_dropout_prob == 0.25
    saved = load_file(tiny_model / "model.safetensors")
    word = "embeddings.word_embeddings.weight"
    assert torch.equal(encoder.state_dict()[word], saved[f"roberta.{word}"])
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


def test_heads_depend_on_the_seed_alone(tiny_model):
    def heads(seed):
        torch.manual_seed(torch.seed())
        model = build_model(str(tiny_model), TASKS, dropout=0.1, seed=seed)
        return dict(model.heads.named_parameters())

    first, again, other = heads(1), heads(1), heads(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["xnli.out.weight"], other["xnli.out.weight"])


def test_building_leaves_the_random_state_alone(tiny_model):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    build_model(str(tiny_model), TASKS, dropout=0.1, seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_a_stage_keeps_the_encoder_and_drops_the_heads(tiny_model):
    first = build_model(str(tiny_model), TASKS, dropout=0, seed=0)
    weights = {name: torch.full_like(p, 0.01) for name, p in first.encoder.named_parameters()}
    second = build_model(str(tiny_model), TASKS, dropout=0, seed=3, weights=weights)
    assert all((p == 0.01).all() for p in second.encoder.parameters())
    assert not torch.equal(
        first.heads["xnli"].out.weight,  # type: ignore[union-attr]
        second.heads["xnli"].out.weight,  # type: ignore[union-attr]
    )


def test_pickled_weights_are_refused(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"cannot load the folder .*model\.safetensors.*unpickled"):
        load_encoder(str(folder), dropout=0)


def test_remote_code_is_refused(folder):
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')", encoding="utf-8")
    auto_map = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    edit(folder / "config.json", model_type="evil", auto_map=auto_map)
    with pytest.raises(InputError, match="no code that comes with a model is run"):
        load_encoder(str(folder), dropout=0)


def test_an_incomplete_folder_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"has no vocabulary\. Give a model folder that holds"):
        load_tokenizer(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match="cannot load the folder"):
        load_encoder(str(folder), dropout=0)


def test_a_tokenizer_without_padding_is_refused(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config.pop("pad_token", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=r"has no padding token\. Set pad_token"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (BertConfig(vocab_size=62, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=64), BertModel),
        (DistilBertConfig(vocab_size=62, dim=32, n_layers=1, n_heads=2, hidden_dim=64),
         DistilBertModel),
    ],
)  # fmt: skip
def test_other_encoders_load_too(tmp_path, config, kind):
    kind(config).save_pretrained(tmp_path)
    model = build_model(str(tmp_path), TASKS, dropout=0.1, seed=0)
    features = tiny.features("sequence_classification", 2)
    loss = model("xnli", torch.tensor([features[0].rows[0]]), torch.ones(1, 1).long(),
                 labels=torch.tensor([1]))  # fmt: skip
    loss.backward()
    assert all(p.grad is not None for name, p in model.named_parameters())


def test_a_task_name_may_hold_dots(tiny_model):
    model = build_model(str(tiny_model), {"a.b": ("sequence_classification", 2)}, dropout=0, seed=0)
    logits = model("a.b", torch.tensor([[0, 5, 2]]), torch.ones(1, 3).long())
    assert logits.shape == (1, 2)
