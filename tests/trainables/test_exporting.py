from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoConfig, BertConfig, BertModel, DistilBertConfig, pipeline

from spaces.errors import InputError
from spaces.sequences import Sequence
from tests.trainables import tiny
from trainables.batches import collate
from trainables.exporting import export_model, pooling_head
from trainables.exporting_heads import STANDARDS, StandardModel, standard_model
from trainables.models import build_model
from trainables.preparation import prepare
from trainables.session import Session
from trainables.session_config import SessionConfig

pytestmark = [pytest.mark.usefixtures("one_worker"), *tiny.DEEPSPEED_WARNINGS]

FORMATS = [form for form in STANDARDS if form != "retrieval"]


@pytest.fixture(scope="module")
def bert_model(tmp_path_factory):
    """Folder of an untrained BERT, 2 layers, 32 wide."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tiny.tokenizer()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=tiny.tokenizer().pad_token_id,
    )
    BertModel(config).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["tiny_model", "bert_model"])
def test_the_class_of_transformers_computes_what_was_trained(form, kind, request, tmp_path):
    path = str(request.getfixturevalue(kind))
    labels = tiny.task(form).labels if "classification" in form else ()
    ours = build_model(path, {"t.x": (form, len(labels))}, dropout=0.1, seed=1).eval()
    weights = dict(ours.named_parameters())
    encoder = {k[8:]: v for k, v in weights.items() if k.startswith("encoder.")}
    head = {k.split(".", 2)[2]: v for k, v in weights.items() if k.startswith("heads.")}
    made = standard_model(form, AutoConfig.from_pretrained(path), encoder, head, labels)
    made.save_pretrained(tmp_path)
    again, report = STANDARDS[form].auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    batch = collate(tiny.features(form, 7), form, 1, torch.device("cpu"), labelled=False)
    with torch.no_grad():
        expected = ours("t.x", **batch)
        torch.testing.assert_close(StandardModel(again, form).logits(task="t.x", **batch), expected)
    if labels:
        assert again.config.id2label == dict(enumerate(labels))


def test_a_model_whose_head_is_another_one_is_refused():
    config = DistilBertConfig()
    with pytest.raises(InputError, match="sequence classification for models of the kind 'distil"):
        standard_model("sequence_classification", config, {}, {}, ("a", "b"))
    with pytest.raises(InputError, match="'masked_lm' cannot be exported"):
        standard_model("masked_lm", config, {}, {})


@pytest.fixture
def make(tiny_model, data_root, tmp_path):
    """Return a function that makes a trial, trains it and gives its last scores."""

    def made(target, sequence=("squad1",), **changes):
        section = {"name": target, "languages": ["en", "de", "fr"]}
        if target == "tatoeba":
            section["languages"] = ["de", "fr"]
        study = tiny.study(tiny_model, targets=[section], **changes)
        preparation = prepare(study, data_root, tmp_path)
        config = SessionConfig(
            study,
            preparation.model_path,
            str(tmp_path / "store"),
            str(data_root),
            preparation.evaluation,
        )
        plan = preparation.planner.plan(0, Sequence.of(*sequence), target, seed=3)
        session = Session(config)
        for stage in plan.stages:
            session.train_stage(stage, plan.base)
        result = [session.run_rung(plan, rung) for rung in range(len(plan.budgets))][-1]
        session.close_engine()
        return config, plan, result

    return made


def predictions(config, plan):
    """Return records of the dev set in German, and what the run's own code reads them as."""
    session = Session(config)
    return session.inputs.records(plan.target, "dev", "de")


@pytest.mark.parametrize("target", ["panx", "xnli", "tatoeba"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_folder_scores_what_the_trial_scored(make, tmp_path, target, dropout):
    config, plan, result = make(target, training={"dropout": dropout})
    told = []
    exported = export_model(config, plan, tmp_path / "out", tell=told.append)
    assert exported.scores == result.scores
    assert exported.objective == result.score
    assert exported.stages_trained == ()
    assert exported.steps_trained == plan.budgets[-1]
    assert told[-1] == "scoring what was written"
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]


def test_stages_that_the_store_dropped_are_trained_again(make, tmp_path):
    config, plan, result = make("panx", ("squad1", "xnli"))
    store = Session(config).store
    store.drop("stages", plan.stages[1].fingerprint)
    exported = export_model(config, plan, tmp_path / "one", tell=lambda text: None)
    assert exported.stages_trained == ("squad1>xnli",)
    assert exported.scores == result.scores
    for stage in plan.stages:
        store.drop("stages", stage.fingerprint)
    exported = export_model(config, plan, tmp_path / "all", tell=lambda text: None)
    assert exported.stages_trained == ("squad1", "squad1>xnli")
    assert exported.steps_trained == 3 * 4
    assert exported.scores == result.scores


def test_a_pipeline_classifies_as_the_run_did(make, tmp_path):
    config, plan, result = make("xnli")
    exported = export_model(config, plan, tmp_path / "out", tell=lambda text: None)
    assert exported.pipeline == "text-classification"
    classify = pipeline(exported.pipeline, model=str(tmp_path / "out"))
    records = predictions(config, plan)
    answers = [classify({"text": r.text, "text_pair": r.text_pair}) for r in records]
    right = [answer["label"] == r.label for answer, r in zip(answers, records, strict=True)]
    (score,) = [s for s in result.scores if s.language == "de"]
    assert 100 * sum(right) / len(right) == pytest.approx(score.value)


def test_the_folder_says_what_a_pipeline_needs(make, tmp_path):
    config, plan, _ = make("panx")
    exported = export_model(config, plan, tmp_path / "out", tell=lambda text: None)
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert about["architectures"] == [exported.architecture] == ["XLMRobertaForTokenClassification"]
    assert list(about["id2label"].values()) == list(exported.labels)
    assert {int(i): name for i, name in about["id2label"].items()} == {
        i: name for name, i in about["label2id"].items()
    }
    tag = pipeline("token-classification", model=str(tmp_path / "out"))
    (record, *_) = predictions(config, plan)
    assert len(tag(" ".join(record.tokens))) <= len(record.tokens) * 3
    assert tag.tokenizer.model_max_length == 32


def test_vectors_of_a_retrieval_model_are_pooled_states(make, tmp_path):
    config, plan, _ = make("tatoeba")
    export_model(config, plan, tmp_path / "out", tell=lambda text: None)
    model = STANDARDS["retrieval"].auto.from_pretrained(tmp_path / "out", add_pooling_layer=False)
    task = config.study.catalogue()["tatoeba"]
    head = pooling_head(task, model.config)
    batch = tiny.tokenizer()(["anna sees rome"], return_tensors="pt")
    vector = StandardModel(model, "retrieval", head).logits(
        task="tatoeba", input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    )
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states[head.layer]
    torch.testing.assert_close(vector, states.mean(1))
