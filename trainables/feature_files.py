"""Writes features into an Arrow file, chunk by chunk.

A file is in Arrow's IPC format, a record batch for each chunk of records. The last batch is empty
and carries, as its metadata, what is known only at the end. ``trainables.arrow_features`` reads it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from pyarrow import ipc

from spaces.errors import InputError

if TYPE_CHECKING:  # Torch comes with it, and the driver, which reads counts, needs none.
    from trainables.formats.base import Feature

#: Names the folder of the cache, where the study does not.
CACHE_VARIABLE = "TASKORDER_CACHE"
FILE_VERSION = "1"
_INTS = pa.list_(pa.int32())
SCHEMA = pa.schema(
    [
        pa.field("rows", pa.list_(_INTS), nullable=False),
        pa.field("label", _INTS, nullable=False),
        pa.field("num_units", pa.int32(), nullable=False),
        pa.field("record", pa.int32(), nullable=False),
    ]
)

#: Chunks are put together until they hold so many features: fewer, larger batches open faster.
BATCH_FEATURES = 8192
NO_LABEL = "no label"

#: What a label is in Python: a number, or a tuple of numbers.
LabelKind = Literal["number", "tuple"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records of a training set.

    Attributes:
        num_records: Records that were read.
        num_examples: Features that were made of them and can be trained on.
        left_out: Records that were left out, by reason; those a reader left out are not among
            ``num_records``.
    """

    num_records: int
    num_examples: int
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.num_records + other.num_records,
            self.num_examples + other.num_examples,
            dict(Counter(self.left_out) + Counter(other.left_out)),
        )


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """The features of some records as an Arrow record batch, ready to be sent or written.

    Attributes:
        payload: The batch in Arrow's IPC stream format.
        num_records: Records it was made of.
        num_unlabelled: Those of them that gave nothing to train on.
        label: Kind of the labels; ``None`` where there is no feature.
    """

    payload: bytes
    num_records: int
    num_unlabelled: int
    label: LabelKind | None


def pack(features: Sequence[Feature], num_records: int, first: int) -> EncodedChunk:
    """Pack the features that can be trained on.

    Args:
        features: Features of consecutive records; what decoding needs of them is not kept.
        num_records: How many records they come from.
        first: Number of the first of these records in the training set.
    """
    kept = [feature for feature in features if feature.label is not None]
    # Records that are packed into another's row have no feature of their own.
    unlabelled = {f.record for f in features if f.label is None} - {f.record for f in kept}
    kind: LabelKind | None = None
    if kept:
        kind = "number" if isinstance(kept[0].label, int) else "tuple"
    labels = [[f.label] if kind == "number" else f.label for f in kept]
    batch = pa.record_batch(
        [
            pa.array([feature.rows for feature in kept], SCHEMA.field("rows").type),
            pa.array(labels, _INTS),
            pa.array([feature.num_units for feature in kept], pa.int32()),
            pa.array([first + feature.record for feature in kept], pa.int32()),
        ],
        schema=SCHEMA,
    )
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(batch)
    return EncodedChunk(sink.getvalue().to_pybytes(), num_records, len(unlabelled), kind)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one clear error.

    Raises:
        InputError: The folder cannot be written, or is full.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the folder of the tokenised training sets {str(folder)!r} cannot be written: "
            f"{error.strerror or error}. Set storage.cache or {CACHE_VARIABLE} to a folder that "
            "can, with room for them."
        ) from error


class FeatureWriter:
    """Writes a file of features; complete once it is left, ``finish`` having been called.

    Args:
        path: The file.
        key: Fingerprint of what the features are made from.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._folder = path.parent
        self._schema = SCHEMA.with_metadata({"taskorder": FILE_VERSION, "key": key})
        with writing(self._folder):
            self._file = pa.OSFile(str(path), "wb")
            self._writer = ipc.new_file(self._file, self._schema)
        self._sizes: list[int] = []
        self._pending: list[pa.RecordBatch] = []
        self._num_records = 0
        self._num_unlabelled = 0
        self._label: LabelKind | None = None

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After an error, another one about closing would only hide it.
        with suppress(OSError) if error else writing(self._folder):
            self._writer.close()
            self._file.close()

    def write(self, chunk: EncodedChunk) -> None:
        """Add the next chunk.

        Raises:
            InputError: The disk is full.
        """
        assert chunk.label is None or self._label in (None, chunk.label), "labels of two kinds"
        self._label = self._label or chunk.label
        self._num_records += chunk.num_records
        self._num_unlabelled += chunk.num_unlabelled
        with ipc.open_stream(chunk.payload) as stream:
            self._pending.append(stream.read_next_batch())
        if sum(batch.num_rows for batch in self._pending) >= BATCH_FEATURES:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._pending, SCHEMA).combine_chunks()
        self._pending = []
        for batch in table.to_batches():
            with writing(self._folder):
                self._writer.write_batch(batch)
            self._sizes.append(batch.num_rows)

    def finish(self, skipped: Mapping[str, int]) -> Counts:
        """Write what is known at the end.

        Args:
            skipped: Records the reader left out, by reason.

        Raises:
            InputError: The disk is full.
        """
        self._flush()
        left_out = Counter(skipped)
        if self._num_unlabelled:
            left_out[NO_LABEL] += self._num_unlabelled
        counts = Counts(self._num_records, sum(self._sizes), dict(sorted(left_out.items())))
        summary = {"counts": asdict(counts), "label": self._label, "sizes": self._sizes}
        nothing = pa.record_batch(
            [pa.array([], field.type) for field in self._schema], schema=self._schema
        )
        with writing(self._folder):
            self._writer.write_batch(nothing, custom_metadata={"summary": json.dumps(summary)})
        return counts
