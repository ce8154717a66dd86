"""Records of a training set in chunks, and a chunk as packed features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spaces.errors import DataError, InputError
from spaces.tasks import Task
from trainables.feature_files import EncodedChunk, pack
from trainables.formats import FORMATS
from trainables.formats.base import Encoding, Tokenizer
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    Record,
    RetrievalRecord,
    TaggingRecord,
    TextRecord,
)

#: Records that are encoded and sent together, and the characters that make a chunk full before: an
#: encoded paragraph takes a hundred times its length.
CHUNK_RECORDS = 1024
CHUNK_CHARACTERS = 1 << 18
#: Formats whose sets are one chunk: a query may have its candidates anywhere in the set.
WHOLE_SETS = frozenset({"retrieval"})


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with the records of a training set.

    Attributes:
        task: Their task.
        labels: Its labels in head order.
        origin: Where they come from, for messages.
    """

    task: Task
    labels: tuple[str, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of a training set.

    Attributes:
        start: Number of the first of them in the set, from 0.
        records: The records.
    """

    start: int
    records: list[Record]


def chunks_of(records: Iterable[Record], task: Task) -> Iterator[Chunk]:
    """Yield the records of a task's training set in chunks, reading no further than the last."""
    if task.format in WHOLE_SETS:
        yield Chunk(0, list(records))
        return
    start, size = 0, 0
    found: list[Record] = []
    for record in records:
        found.append(record)
        size += _num_characters(record)
        if len(found) == CHUNK_RECORDS or size >= CHUNK_CHARACTERS:
            yield Chunk(start, found)
            start, size, found = start + len(found), 0, []
    if found:
        yield Chunk(start, found)


def _num_characters(record: Record) -> int:
    match record:
        case ClassificationRecord():
            return len(record.text) + len(record.text_pair or "")
        case TaggingRecord():
            return sum(map(len, record.tokens))
        case QuestionRecord():
            return len(record.question) + len(record.context)
        case ChoiceRecord():
            # The context is encoded with each choice.
            return len(record.context) * len(record.choices) + sum(map(len, record.choices))
        case RetrievalRecord() | TextRecord():
            return len(record.text)


def encode_chunk(tokenizer: Tokenizer, job: Job, chunk: Chunk) -> EncodedChunk:
    """Encode a chunk of a training set.

    Raises:
        DataError: A record cannot be encoded; the message says which.
        InputError: The task's settings do not allow it.
    """
    encoding = Encoding(tokenizer, job.task, job.labels)
    records = chunk.records
    try:
        features = FORMATS[job.task.format].encode_training(records, encoding)
    except DataError as error:
        raise DataError(f"{job.origin}: {error}") from error
    except InputError:
        raise
    except Exception as error:
        which = f"record {chunk.start + 1} (id {records[0].id!r})"
        if len(records) > 1:
            for position, record in enumerate(records):
                encode_chunk(tokenizer, job, Chunk(chunk.start + position, [record]))
            which = f"records {chunk.start + 1} to {chunk.start + len(records)} together"
        raise DataError(
            f"{job.origin}: {which} cannot be tokenised: {type(error).__name__}: {error}. Mend or "
            "remove what is wrong."
        ) from error
    return pack(features, len(records), chunk.start)
