"""A few hundred examples of each task: which records are looked at, and their texts. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from spaces.fingerprints import fingerprint
from spaces.stages import Stream
from spaces.study import Study
from spaces.tasks import Split
from trainables.data import iter_records
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    TaggingRecord,
)
from trainables.similarity.settings import SimilaritySettings
from trainables.similarity.subjects import Subject

#: Examples are drawn from the first so many records of a training set: enough to mix sources that
#: follow each other in a file, few enough to be read in seconds.
POOL = 20_000


@dataclass(frozen=True, slots=True)
class Portion:
    """The examples of one task that stand for a subject, or for a part of it.

    Attributes:
        task: Name of the task.
        languages: Languages of the stream, as in ``Stream``.
        share: Its part of the subject; a subject's shares sum to 1.
        records: The examples.
        trained: Whether they are training examples, not texts of an evaluation set.
    """

    task: str
    languages: tuple[str, ...]
    share: float
    records: tuple[Record, ...]
    trained: bool = True


def draw_portions(
    subject: Subject, study: Study, data_root: Path | None, settings: SimilaritySettings
) -> tuple[Portion, ...]:
    """Draw the examples that stand for a subject, ``num_examples`` of them in all.

    A mixture's are drawn in proportion to its shares, at least one of each stream; the size of a
    stream counts up to ``POOL`` records a language.

    Raises:
        DataError: A training or evaluation set cannot be read.
    """
    if subject.mixture is None:
        return _evaluation_texts(subject, study, data_root, settings)
    streams = subject.mixture.all_streams
    pools = [_pool(stream, study, data_root) for stream in streams]
    shares = subject.mixture.shares([len(pool) for pool in pools])
    return tuple(
        Portion(
            stream.task,
            stream.languages,
            share,
            _draw(pool, max(1, round(share * settings.num_examples)), settings.seed, str(stream)),
        )
        for stream, pool, share in zip(streams, pools, shares, strict=True)
    )


def texts_of(record: Record) -> tuple[str, ...]:
    """Return the texts of a record that a model would read, its label left out.

    >>> texts_of(ClassificationRecord("1", "It rains.", "It is wet.", "entailment"))
    ('It rains.', 'It is wet.')
    """
    match record:
        case ClassificationRecord(text=text, text_pair=pair):
            return (text,) if pair is None else (text, pair)
        case TaggingRecord(tokens=tokens):
            return (" ".join(tokens),)
        case QuestionRecord(question=question, context=context):
            return (question, context)
        case ChoiceRecord(context=context, question=question, choices=choices):
            return tuple(text for text in (context, question, *choices) if text)
        case _:
            return (record.text,)


def _pool(stream: Stream, study: Study, data_root: Path | None) -> list[Record]:
    catalogue = study.catalogue()
    task = catalogue[stream.task]
    limits = [n for n in (stream.max_examples, study.training.max_train_examples, POOL) if n]
    pool: list[Record] = []
    for language in stream.languages or (task.train_language,):
        found = iter_records(
            task, "train", language, data_root=data_root, catalogue=catalogue, limit=min(limits)
        )
        # Retrieval keeps every candidate of the queries it keeps; here they are texts like others.
        pool += islice(found, POOL)
    return pool


def _evaluation_texts(
    subject: Subject, study: Study, data_root: Path | None, settings: SimilaritySettings
) -> tuple[Portion, ...]:
    catalogue = study.catalogue()
    pool: list[Record] = []
    for chosen in subject.selection:
        split: Split = chosen.split
        found = iter_records(
            catalogue[subject.name],
            split,
            chosen.language,
            data_root=data_root,
            catalogue=catalogue,
            limit=study.training.max_eval_examples,
        )
        pool += islice(found, POOL)
    drawn = _draw(pool, settings.num_examples, settings.seed, subject.name)
    return (Portion(subject.name, (), 1.0, drawn, trained=False),)


def _draw(pool: Sequence[Record], count: int, seed: int, name: str) -> tuple[Record, ...]:
    """Draw records without repeats, in their order, by the seed and the stream's name alone."""
    if len(pool) <= count:
        return tuple(pool)
    source = int(fingerprint(["similarity", seed, name])[:16], 16)
    chosen = np.random.default_rng(source).choice(len(pool), count, replace=False)
    return tuple(pool[i] for i in sorted(chosen.tolist()))
