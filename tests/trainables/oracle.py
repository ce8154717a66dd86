"""An oracle: a model that gives the gold label of every feature with certainty."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2
from tokenizers import normalizers

from spaces.tasks import Task
from trainables.formats import FORMATS
from trainables.formats.base import IGNORE, Encoding, Feature
from trainables.pretraining import train_tokenizer
from trainables.records import Record

SURE = 10.0


def make_tokenizer(texts: Sequence[str], vocab_size: int) -> Any:
    """Train a tokenizer that splits and normalises as XLM-R's does: Unigram after NFKC."""
    tokenizer = train_tokenizer(texts, vocab_size)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(_any_sentencepiece_model())
    charsmap = model.normalizer_spec.precompiled_charsmap
    tokenizer.backend_tokenizer.normalizer = normalizers.Precompiled(charsmap)
    assert tokenizer.tokenize("\uff21") == tokenizer.tokenize("A")
    return tokenizer


def _any_sentencepiece_model() -> bytes:
    """Return a model for the sake of its table of characters, which is XLM-R's own."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c"] * 9),
        model_writer=model,
        model_type="char",
        vocab_size=10,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


def predict(records: Sequence[Record], encoding: Encoding, batch_size: int = 64) -> dict[str, Any]:
    """Encode records, put their labels in the place of logits, and decode."""
    form = FORMATS[encoding.task.format]
    features = form.encode(records, encoding)
    outputs: list[Any] = []
    for start in range(0, len(features), batch_size):
        batch = features[start : start + batch_size]
        outputs += form.outputs(_logits(encoding, batch), batch)
    return dict(form.decode(records, features, outputs, encoding))


def _logits(encoding: Encoding, features: Sequence[Feature]) -> torch.Tensor:
    longest = max(feature.num_tokens for feature in features)
    match encoding.task.format:
        case "question_answering":
            logits = torch.zeros(len(features), longest, 2)
            for row, feature in enumerate(features):
                start, end = feature.label
                logits[row, start, 0] = logits[row, end, 1] = SURE
        case "token_classification":
            logits = torch.zeros(len(features), longest, len(encoding.labels))
            for row, feature in enumerate(features):
                for position, label in enumerate(feature.label or ()):
                    if label != IGNORE:
                        logits[row, position, label] = SURE
        case "sequence_classification":
            logits = torch.zeros(len(features), len(encoding.labels))
            for row, feature in enumerate(features):
                logits[row, feature.label] = SURE
        case "multiple_choice":
            logits = torch.cat(
                [torch.eye(len(feature.rows))[feature.label, :, None] for feature in features]
            )
    return logits


def squad_texts(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the passages and questions of files in SQuAD's layout."""
    for path in paths:
        for article in json.loads(path.read_text("utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                yield paragraph["context"]
                yield from (question["question"] for question in paragraph["qas"])


def with_options(task: Task, **options: Any) -> Task:
    """Return a task with other format options."""
    mapping: Mapping[str, Any] = {**task.options, **options}
    return task.model_copy(update={"options": dict(mapping)})
