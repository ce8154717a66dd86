"""A tiny XLM-R, a few records of every format, and a data root in the official layout."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import XLMRobertaForMaskedLM

from spaces.plan import TrainSettings
from spaces.study import Study
from spaces.tasks import Task, load_catalogue
from trainables.formats import FORMATS
from trainables.formats.base import Encoding, Feature
from trainables.pretraining import make_config, save_model, train_tokenizer
from trainables.records import (
    Answer,
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)

#: DeepSpeed's ZeRO calls torch by names that newer releases deprecate.
DEEPSPEED_WARNINGS = (
    pytest.mark.filterwarnings("ignore:`torch.distributed.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning"),
)
WORDS = [
    "anna",
    "bert",
    "carla",
    "dino",
    "paris",
    "rome",
    "oslo",
    "lima",
    "sees",
    "meets",
    "likes",
    "finds",
    "the",
    "a",
    "red",
    "blue",
    "old",
    "new",
    "house",
    "river",
    "garden",
    "tower",
    "in",
    "near",
    "under",
    "with",
    "and",
    "who",
    "where",
    "what",
    "yes",
    "no",
    "maybe",
    "today",
]


def sentence(number: int, length: int = 6) -> str:
    """Return the words of a pseudo-random walk through the vocabulary."""
    return " ".join(
        WORDS[(7 * number + 5 * i * (number + 1) + i) % len(WORDS)] for i in range(length)
    )


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    return train_tokenizer([sentence(i, 9) for i in range(300)] + WORDS, 160)


def make_model(folder: Path, *, seed: int = 0, max_tokens: int = 64, hidden_size: int = 32) -> Path:
    """Write a Hugging Face folder with an untrained XLM-R of 2 layers, 32 wide by default."""
    torch.manual_seed(seed)
    config = make_config(
        len(tokenizer()), hidden_size=hidden_size, num_layers=2, num_heads=4, max_tokens=max_tokens
    )
    save_model(XLMRobertaForMaskedLM(config), tokenizer(), folder)
    return folder


def records(form: str, count: int = 24) -> list[Record]:
    """Return labelled records of a format; of mixed lengths, so that batches are padded."""
    made: list[Record] = []
    for i in range(count):
        text = sentence(i, 3 + i % 6)
        words = text.split()
        match form:
            case "sequence_classification":
                label = ("entailment", "neutral", "contradiction")[i % 3]
                made.append(ClassificationRecord(str(i), text, sentence(i + 1, 4), label))
            case "token_classification":
                tags = tuple("B-PER" if word in WORDS[:4] else "O" for word in words)
                made.append(TaggingRecord(str(i), tuple(words), tags))
            case "question_answering":
                word = words[i % len(words)]
                answer = Answer(word, text.index(word))
                made.append(QuestionRecord(str(i), f"where {word}", text, (answer,)))
            case "multiple_choice":
                choices = tuple(sentence(i + k, 2) for k in range(2 + i % 3))
                made.append(ChoiceRecord(str(i), text, "what", choices, i % len(choices)))
            case "retrieval":
                made.append(RetrievalRecord(f"q{i}", text, True, (f"c{i}",)))
                made.append(RetrievalRecord(f"c{i}", f"{text} {sentence(i + 1, 2)}", False, ()))
            case "masked_lm":
                made.append(TextRecord(str(i), text))
    return made


#: A task of each format whose loss does not depend on how a batch is divided.
TASKS = {
    "sequence_classification": "xnli",
    "token_classification": "panx",
    "question_answering": "squad1",
    "multiple_choice": "hellaswag",
    "masked_lm": "raw_text",
}


def task(form: str, max_length: int = 32, **changes: Any) -> Task:
    """Return a catalogue task of a format, its inputs cut."""
    found = load_catalogue()[TASKS.get(form, "tatoeba")]
    return found.model_copy(update={"max_length": max_length, "doc_stride": 8, **changes})


def encoding(form: str, max_length: int = 32, **changes: Any) -> Encoding:
    """Return the encoding of a catalogue task of a format."""
    chosen = task(form, max_length, **changes)
    return Encoding(tokenizer(), chosen, chosen.labels)


@lru_cache(maxsize=16)
def features(form: str, count: int = 24) -> list[Feature]:
    """Return the features of ``records``; not to be changed."""
    found: list[Feature] = FORMATS[form].encode_training(records(form, count), encoding(form))
    return found


def settings(**changes: Any) -> TrainSettings:
    """Return a stage's settings: a few steps, large enough to tell one optimizer from another."""
    values: dict[str, Any] = {
        "steps": 6,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "warmup_fraction": 0.2,
        "schedule": "linear",
        "weight_decay": 0.1,
        "max_grad_norm": 0.5,
        "dropout": 0.0,
        "seed": 3,
    }
    return TrainSettings(**{**values, **changes})


def write_data(root: Path) -> Path:
    """Write a data root: XNLI, PAN-X, SQuAD, XQuAD, HellaSwag and Tatoeba, a few lines each."""
    for split, language, count in (
        ("train", "en", 40),
        ("dev", "en", 10),
        ("dev", "de", 11),
        ("dev", "fr", 7),
    ):
        pairs = records("sequence_classification", count)
        lines = [f"{r.text}\t{r.text_pair}\t{r.label}" for r in pairs]
        _write(root / f"xnli/{split}-{language}.tsv", "\n".join(lines) + "\n")
        tagged = records("token_classification", count)
        blocks = [
            "".join(f"{word}\t{tag}\n" for word, tag in zip(r.tokens, r.tags, strict=True))
            for r in tagged
        ]
        _write(root / f"panx/{split}-{language}.tsv", "\n".join(blocks))
    for name, count in (
        ("squad/train-v1.1.json", 40),
        ("squad/dev-v1.1.json", 10),
        ("xquad/xquad.de.json", 9),
    ):
        _write(root / name, json.dumps(_squad(count)))
    for language in ("deu", "fra"):
        stem = root / "tatoeba" / f"tatoeba.{language}-eng"
        texts = [sentence(i, 4) for i in range(13)]
        _write(stem.with_name(f"{stem.name}.{language}"), "\n".join(texts) + "\n")
        _write(stem.with_name(f"{stem.name}.eng"), "\n".join(f"{t} today" for t in texts) + "\n")
    return root


def study(name: Path | str, /, **changes: Any) -> Study:
    """Return a study on ``write_data``'s tasks."""
    sections: dict[str, Any] = {
        "name": "tiny",
        "model": {"name": str(name)},
        "intermediate": {"tasks": ["squad1", "xnli"], "max_length": 2},
        "targets": [
            {"name": "panx", "languages": ["en", "de", "fr"]},
            {"name": "tatoeba", "languages": ["de", "fr"]},
        ],
        "training": {
            "batch_size": 8,
            "max_length": 32,
            "max_steps": 4,
            "eval_batch_size": 4,
            "learning_rate": 3e-3,
        },
        "search": {"num_trials": 2, "asha": {"rungs": [2, 3, 4]}},
    }
    for key, value in changes.items():
        known = sections.get(key)
        sections[key] = {**known, **value} if isinstance(known, dict) else value
    return Study.model_validate(sections)


def _squad(count: int) -> dict[str, Any]:
    paragraphs = [
        {
            "context": r.context,
            "qas": [
                {
                    "id": r.id,
                    "question": r.question,
                    "answers": [{"text": a.text, "answer_start": a.start} for a in r.answers],
                }
            ],
        }
        for r in records("question_answering", count)
    ]
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
