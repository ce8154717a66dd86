"""Reads files of features by memory map, one example at a time.

Nothing is unpickled, and nothing is copied: a feature's token ids are a view of the file.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
from pyarrow import ipc

from spaces.errors import TaskorderError
from trainables.feature_files import FILE_VERSION, Counts, LabelKind
from trainables.formats.base import Feature


class DamagedFileError(TaskorderError):
    """A file of features that is cut short, altered, or another one than its name says."""


class FeatureFile:
    """An open file of features.

    Args:
        path: The file.
        key: What it must have been made from.

    Attributes:
        counts: What became of the records.

    Raises:
        DamagedFileError: It is not a complete file with this key.
    """

    def __init__(self, path: Path, key: str) -> None:
        try:
            self._reader = ipc.open_file(pa.memory_map(str(path)))
            metadata = self._reader.schema.metadata or {}
            last = self._reader.num_record_batches - 1
            _, notes = self._reader.get_batch_with_custom_metadata(last)
            summary = json.loads(notes[b"summary"])
            self.counts = Counts(**summary["counts"])
            self.label_kind: LabelKind = summary["label"]
            self.sizes: list[int] = summary["sizes"]
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(f"{path}: no complete file of features ({error})") from None
        if metadata.get(b"taskorder") != FILE_VERSION.encode() or (
            metadata.get(b"key") != key.encode()
        ):
            raise DamagedFileError(f"{path}: a file of other features")

    def batch(self, number: int) -> FeatureBatch:
        """Return one of the file's batches, without reading it."""
        return FeatureBatch(self._reader.get_batch(number), self.label_kind)


class FeatureBatch:
    """Views of one record batch; nothing is copied.

    Args:
        batch: The record batch.
        label_kind: What its labels are.
    """

    def __init__(self, batch: pa.RecordBatch, label_kind: LabelKind) -> None:
        rows, labels, units, records = batch.columns
        # Memory views give plain integers, and faster than NumPy's element access.
        self._first_rows = memoryview(rows.offsets.to_numpy())
        self._bounds = memoryview(rows.values.offsets.to_numpy())
        self._tokens = rows.values.values.to_numpy()
        self._label_bounds = memoryview(labels.offsets.to_numpy())
        self._labels = memoryview(labels.values.to_numpy())
        self._units = memoryview(units.to_numpy())
        self._records = memoryview(records.to_numpy())
        self._has_numbers = label_kind == "number"
        self._has_single_rows = len(rows.values) == len(rows)

    def feature(self, i: int) -> Feature:
        """Return feature ``i`` of the batch."""
        tokens, bounds = self._tokens, self._bounds
        rows: tuple[Any, ...]
        if self._has_single_rows:
            rows = (tokens[bounds[i] : bounds[i + 1]],)
        else:
            numbers = range(self._first_rows[i], self._first_rows[i + 1])
            rows = tuple([tokens[bounds[row] : bounds[row + 1]] for row in numbers])
        label: Any
        if self._has_numbers:
            label = self._labels[i]
        else:
            label = self._labels[self._label_bounds[i] : self._label_bounds[i + 1]]
        return Feature(rows, self._records[i], label, self._units[i])


class ArrowFeatures(Sequence[Feature]):
    """The features of some files, one after the other, in memory-mapped files.

    What is held in memory does not grow with the number of features. A feature's ``rows`` are
    NumPy views of 32-bit token ids, a label that is not a single number is a view as well, its
    ``extra`` is ``None``, and its ``record`` counts within its file.

    Args:
        files: The files.

    Attributes:
        counts: What became of the records of all of them.
    """

    def __init__(self, files: Sequence[FeatureFile]) -> None:
        self.counts = sum((file.counts for file in files), Counts(0, 0))
        self._places = [(file, i) for file in files for i in range(len(file.sizes))]
        self._starts = list(accumulate((file.sizes[i] for file, i in self._places), initial=0))
        self._batches: dict[int, FeatureBatch] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Feature: ...
    @overload
    def __getitem__(self, index: slice) -> list[Feature]: ...
    def __getitem__(self, index: int | slice) -> Feature | list[Feature]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        starts = self._starts
        if index < 0:
            index += starts[-1]
        if not 0 <= index < starts[-1]:
            raise IndexError(f"feature {index} of {starts[-1]}")
        number = bisect_right(starts, index) - 1
        batch = self._batches.get(number)
        if batch is None:
            file, i = self._places[number]
            batch = self._batches[number] = file.batch(i)
        return batch.feature(index - starts[number])

    def __iter__(self) -> Iterator[Feature]:
        return (self[i] for i in range(len(self)))
