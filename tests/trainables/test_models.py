from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForMaskedLM,
    BertConfig,
    BertModel,
    BigBirdConfig,
    DebertaV2Config,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    GPT2Config,
    LukeConfig,
    ModernBertConfig,
    RobertaConfig,
)

from spaces.errors import InputError
from tests.trainables import tiny
from trainables.models import build_model, load_encoder, load_tokenizer

TASKS = {"xnli": ("sequence_classification", 3), "panx": ("token_classification", 7)}
TEXT = {"text": ("masked_lm", 0)}


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


def test_the_language_model_head_is_the_checkpoints_own(tiny_model):
    saved = load_file(tiny_model / "model.safetensors")
    model = build_model(str(tiny_model), {**TASKS, **TEXT}, dropout=0.1, seed=0)
    head = {name.rpartition("lm_head.")[2]: p for name, p in model.heads.text.named_parameters()}
    assert head.keys() == {"dense.weight", "dense.bias", "layer_norm.weight", "layer_norm.bias",
                           "bias", "decoder.weight"}  # fmt: skip
    for name in head.keys() - {"decoder.weight"}:
        assert torch.equal(head[name], saved[f"lm_head.{name}"])
    words = model.encoder.get_input_embeddings().weight
    assert head["decoder.weight"] is words
    # The one parameter is stored under the encoder's name, as in a stage without text.
    plain = build_model(str(tiny_model), TASKS, dropout=0.1, seed=0)
    names = [name for name, _ in model.named_parameters() if name.startswith("encoder.")]
    assert names == [name for name, _ in plain.named_parameters() if name.startswith("encoder.")]
    for name, parameter in plain.heads.named_parameters():
        assert torch.equal(parameter, model.heads.get_parameter(name))


def test_the_decoder_is_tied_to_a_stages_embeddings(tiny_model):
    weights = load_encoder(str(tiny_model), dropout=0).state_dict()
    weights = {name: value + 1 for name, value in weights.items()}
    model = build_model(str(tiny_model), TEXT, dropout=0, seed=0, weights=weights)
    decoder = model.heads.text.model.get_output_embeddings()
    assert decoder.weight is model.encoder.get_input_embeddings().weight
    assert torch.equal(decoder.weight, weights["embeddings.word_embeddings.weight"])


def test_a_checkpoint_without_a_language_model_head_gets_a_fresh_one(tiny_model, folder):
    load_encoder(str(tiny_model), dropout=0).save_pretrained(folder)
    with pytest.raises(KeyError):
        load_file(folder / "model.safetensors")["lm_head.bias"]

    def head(seed):
        model = build_model(str(folder), TEXT, dropout=0, seed=seed)
        known = load_encoder(str(tiny_model), dropout=0).state_dict()
        assert all(torch.equal(known[name], p) for name, p in model.encoder.state_dict().items())
        return dict(model.heads.named_parameters())

    name = "text.model.lm_head.dense.weight"
    assert torch.equal(head(1)[name], head(1)[name])
    assert not torch.equal(head(1)[name], head(2)[name])


def test_streams_of_text_share_the_head(tiny_model):
    tasks = {"text": ("masked_lm", 0), "bible": ("masked_lm", 0), **TASKS}
    model = build_model(str(tiny_model), tasks, dropout=0, seed=0)
    assert model.heads.text is model.heads.bible
    ids = torch.tensor([[0, 5, 61, 2]])
    labels = torch.tensor([[-100, -100, 7, -100]])
    model("bible", ids, torch.ones_like(ids), labels=labels).backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    model("xnli", ids, torch.ones_like(ids), labels=torch.tensor([1])).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert not any(p.grad.any() for p in model.heads.text.model.lm_head.dense.parameters())


SMALL = {"vocab_size": 62, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 64}  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        AlbertConfig(**SMALL, embedding_size=16),
        BertConfig(**SMALL),
        DebertaV2Config(**SMALL),
        DistilBertConfig(vocab_size=62, dim=32, n_layers=1, n_heads=2, hidden_dim=64),
        ElectraConfig(**SMALL, embedding_size=16),
        ModernBertConfig(**SMALL, pad_token_id=1),
        RobertaConfig(**SMALL),
    ],
    ids=lambda config: config.model_type,
)
def test_other_encoders_are_language_models_too(tmp_path, config):
    theirs = AutoModelForMaskedLM.from_config(config).eval()
    theirs.save_pretrained(tmp_path)
    model = build_model(str(tmp_path), TEXT, dropout=0, seed=0).eval()
    ids = torch.tensor([[0, 5, 61, 9, 2], [0, 6, 7, 61, 2]])
    mask = torch.ones_like(ids)
    labels = torch.tensor([[-100, -100, 7, 9, -100], [-100, -100, -100, 4, -100]])
    loss = model("text", ids, mask, labels=labels, scale=1 / 3)
    expected = theirs(input_ids=ids, attention_mask=mask, labels=labels).loss
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    "config",
    [
        LukeConfig(**SMALL, entity_vocab_size=5),  # its head also reads the entities' states
        BigBirdConfig(**SMALL),  # it has a pooler without the head, and none with it
        GPT2Config(vocab_size=62, n_embd=32, n_layer=1, n_head=2),
    ],
    ids=lambda config: config.model_type,
)
def test_a_model_without_a_usable_language_model_head_is_refused(tmp_path, config):
    AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no language-model head that can be trained here"):
        build_model(str(tmp_path), TEXT, dropout=0, seed=0)


def test_every_kind_of_dropout_is_set(tmp_path):
    config = DistilBertConfig(vocab_size=62, dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    DistilBertModel(config).save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path), dropout=0.25)
    rates = {module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.25}
    assert encoder.config.attention_dropout == 0.25


def test_a_task_name_may_hold_dots(tiny_model):
    model = build_model(str(tiny_model), {"a.b": ("sequence_classification", 2)}, dropout=0, seed=0)
    logits = model("a.b", torch.tensor([[0, 5, 2]]), torch.ones(1, 3).long())
    assert logits.shape == (1, 2)
