"""The ``scratch`` model: a small XLM-R made from the study's own text, for runs without network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import XLMRobertaForMaskedLM

from spaces.study import Study
from spaces.tasks import Split
from trainables.batches import derived_seed, global_batch
from trainables.data import load_records
from trainables.evaluation_plan import plan_evaluation
from trainables.preparation import stream_languages, study_streams
from trainables.pretraining import (
    make_config,
    pad,
    save_model,
    train_masked_lm,
    train_tokenizer,
)
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)


def build_scratch_model(study_json: dict[str, Any], data_root: str | None, folder: str) -> None:
    """Make the model of a study whose ``model.name`` is ``scratch``.

    Text is what the study reads anyway, without its labels: training sets, and the evaluation sets
    of every language, so that the model has seen each of them.

    Args:
        study_json: The study, dumped.
        data_root: Folder of the official files.
        folder: Where the model goes.
    """
    study = Study.model_validate(study_json)
    spec = study.model
    torch.set_num_threads(1)
    texts = study_texts(study, Path(data_root) if data_root else None)
    lines = [line for language in sorted(texts) for line in texts[language]]
    tokenizer = train_tokenizer(lines, spec.vocab_size)
    catalogue = study.catalogue()
    max_tokens = max(catalogue[stream.task].max_length for stream in study_streams(study))
    torch.manual_seed(derived_seed("scratch", study.seed))
    model = XLMRobertaForMaskedLM(
        make_config(
            len(tokenizer),
            hidden_size=spec.hidden_size,
            num_layers=spec.num_layers,
            num_heads=spec.num_heads,
            max_tokens=max_tokens,
        )
    )
    ids = tokenizer(lines, truncation=True, max_length=min(max_tokens, 64))["input_ids"]
    seed = derived_seed("scratch-order", study.seed)
    step = iter(range(spec.pretraining.steps))
    train_masked_lm(
        model,
        lambda: pad(
            [ids[i] for i in global_batch(seed, len(ids), spec.pretraining.batch_size, next(step))]
        ),
        steps=spec.pretraining.steps,
        learning_rate=spec.pretraining.learning_rate,
        mask_id=tokenizer.mask_token_id,
        generator=torch.Generator().manual_seed(derived_seed("scratch-mask", study.seed)),
    )
    save_model(model, tokenizer, Path(folder))


def study_texts(study: Study, data_root: Path | None) -> dict[str, list[str]]:
    """Return the distinct lines of text a study reads, by language, in reading order."""
    catalogue = study.catalogue()
    wanted: list[tuple[str, Split, str]] = [
        (stream.task, "train", language)
        for stream in study_streams(study)
        for language in stream_languages(stream, catalogue)
        if catalogue[stream.task].trains
    ]
    for target in study.targets:
        plan = plan_evaluation(study, target, catalogue, data_root)
        wanted += [(target.name, s.split, s.language) for s in (*plan.select, *plan.report)]
    limit = study.model.pretraining.max_sentences_per_language
    texts: dict[str, dict[str, None]] = {}
    # Round robin over the sets of a language, so that none of them fills the limit alone.
    by_language: dict[str, list[Iterator[str]]] = {}
    for name, split, language in wanted:
        records = load_records(
            catalogue[name], split, language, data_root=data_root, catalogue=catalogue, limit=limit
        )
        by_language.setdefault(language, []).append(
            text for record in records for text in record_texts(record)
        )
    for language, sources in by_language.items():
        lines = texts.setdefault(language, {})
        while sources and len(lines) < limit:
            for source in list(sources):
                line = next(source, None)
                if line is None:
                    sources.remove(source)
                elif line.strip():
                    lines.setdefault(line.strip())
    return {language: list(lines) for language, lines in texts.items()}


def record_texts(record: Record) -> tuple[str, ...]:
    """Return a record's texts."""
    match record:
        case ClassificationRecord():
            return (record.text, record.text_pair or "")
        case TaggingRecord():
            return (" ".join(record.tokens),)
        case QuestionRecord():
            return (record.question, record.context)
        case ChoiceRecord():
            return (f"{record.context} {record.question}", *record.choices)
        case RetrievalRecord() | TextRecord():
            return (record.text,)
