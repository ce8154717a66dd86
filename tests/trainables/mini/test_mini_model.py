"""The shipped model: small, complete, and what the pre-training script makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import AutoTokenizer, XLMRobertaForMaskedLM, XLMRobertaTokenizer

from spaces.tasks import load_catalogue
from trainables.mini import LANGUAGES, MODEL_DIR, TASKS, corpus, records
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)

CATALOGUE = load_catalogue()


@pytest.fixture(scope="module")
def tokenizer():
    loaded = AutoTokenizer.from_pretrained(MODEL_DIR)
    assert isinstance(loaded, XLMRobertaTokenizer)
    return loaded


def test_the_folder_is_below_two_megabytes():
    files = {file.name for file in MODEL_DIR.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert sum(file.stat().st_size for file in MODEL_DIR.iterdir()) < 2_000_000


def test_the_sizes_fit_together(tokenizer):
    config = json.loads((MODEL_DIR / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "xlm-roberta"
    assert config["vocab_size"] == len(tokenizer)
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert tokenizer.mask_token_id == len(tokenizer) - 1
    assert config["max_position_embeddings"] == tokenizer.model_max_length + 2


def test_no_word_of_any_language_is_unknown(tokenizer):
    for language in LANGUAGES:
        for ids in tokenizer(corpus(language, size=500))["input_ids"]:
            assert tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("name", TASKS)
def test_inputs_fit_the_declared_length(tokenizer, name):
    task = CATALOGUE[name]
    for language in task.languages:
        for record in records(name, "dev", language):
            for texts in _inputs(record):
                assert len(tokenizer(*texts)["input_ids"]) <= task.max_length


def test_the_encoder_predicts_hidden_words_in_every_language(tokenizer):
    model = XLMRobertaForMaskedLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    for language in LANGUAGES:
        texts = [record.text for record in records("mini_mlm", "dev", language)]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        third = torch.arange(batch["input_ids"].shape[1]) % 3 == 2
        hidden = (batch["input_ids"] > 2) & third & (torch.arange(len(third)) < 20)
        inputs = batch["input_ids"].masked_fill(hidden, tokenizer.mask_token_id)
        with torch.no_grad():
            logits = model(input_ids=inputs, attention_mask=batch["attention_mask"]).logits
        right = logits[hidden].argmax(-1) == batch["input_ids"][hidden]
        # Guessing the commonest subword is right for about one in ten.
        assert right.float().mean() > 0.4, language


def test_the_package_imports_neither_torch_nor_transformers():
    code = (
        "import sys, trainables.mini as mini; mini.records('mini_xqa', 'dev', 'agg');"
        "print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_pre_training_is_reproducible(tmp_path):
    made = []
    for attempt in ("first", "second"):
        folder = tmp_path / attempt
        command = [sys.executable, "-m", "trainables.mini.pretrain", "--steps", "5"]
        subprocess.run([*command, "--out", str(folder)], check=True, capture_output=True)
        made.append({file.name: file.read_bytes() for file in sorted(folder.iterdir())})
    assert made[0] == made[1]


def _inputs(record):
    if isinstance(record, TaggingRecord):
        return [(" ".join(record.tokens),)]
    if isinstance(record, ClassificationRecord):
        return [(record.text, record.text_pair)]
    if isinstance(record, QuestionRecord):
        return [(record.question, record.context)]
    if isinstance(record, ChoiceRecord):
        return [(record.context, choice) for choice in record.choices]
    assert isinstance(record, RetrievalRecord | TextRecord)
    return [(record.text,)]
