"""The stage store: content-addressed checkpoints, safetensors and metadata, no pickles.

An entry is a folder named by its key that holds its data and ``meta.json``. The data is written
first and the metadata renamed (or put) last, so the metadata's presence *is* completeness. The
data's name holds its checksum: two writers of one key may differ in the last bits (other devices),
and a reader always gets the data that the metadata speaks of.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import fsspec
from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

from spaces.errors import StoreError

Kind = Literal["stages", "progress"]
FORMAT_VERSION = 1
DATA = "data-{}.safetensors"
META = "meta.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A complete entry.

    Attributes:
        kind: ``stages`` (encoder weights) or ``progress`` (a target's fine-tuning at a budget).
        key: Its fingerprint.
        size_bytes: Size of the data.
        sha256: Checksum of the data.
        metadata: What the writer noted (sequence, parent, steps, wall seconds...).
    """

    kind: Kind
    key: str
    size_bytes: int
    sha256: str
    metadata: dict[str, Any]


class StageStore:
    """Checkpoints by fingerprint on any fsspec filesystem.

    Args:
        url: Folder or fsspec URL (``/shared/stages``, ``s3://bucket/stages``).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = isinstance(self._fs, LocalFileSystem)

    def get(self, kind: Kind, key: str) -> Entry | None:
        """Return the entry, or ``None`` if there is no complete one.

        Raises:
            StoreError: The metadata is not ours or not readable.
        """
        path = self._path(kind, key, META)
        try:
            text = self._fs.cat_file(path)
        except FileNotFoundError:
            return None
        try:
            meta = json.loads(text)
            if meta["format"] != FORMAT_VERSION or meta["key"] != key:
                raise ValueError(f"format {meta['format']}, key {meta['key']}")
            return Entry(kind, key, meta["size_bytes"], meta["sha256"], meta["metadata"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} is not an entry of this store ({error}). Remove its folder; the stage is "
                "trained again when it is needed."
            ) from None

    def put(self, kind: Kind, key: str, data: Mapping[str, Any], metadata: dict[str, Any]) -> Entry:
        """Write an entry; atomic, so a reader sees all of it or nothing.

        Args:
            kind: Kind of entry.
            key: Its fingerprint.
            data: Tensors by name, contiguous and on the CPU.
            metadata: JSON-able notes.
        """
        from safetensors.torch import save  # noqa: PLC0415  (keeps torch out of planning processes)

        payload = save(dict(data))
        entry = Entry(kind, key, len(payload), hashlib.sha256(payload).hexdigest(), metadata)
        self._fs.makedirs(self._path(kind, key), exist_ok=True)
        self._write(self._data_path(entry), payload)
        meta = {
            "format": FORMAT_VERSION,
            "kind": kind,
            "key": key,
            "size_bytes": entry.size_bytes,
            "sha256": entry.sha256,
            "metadata": metadata,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "owner": f"{socket.gethostname()}:{os.getpid()}",
        }
        self._write(self._path(kind, key, META), json.dumps(meta, indent=1).encode())
        return entry

    def load(self, entry: Entry) -> dict[str, Any]:
        """Read an entry's tensors, its checksum verified.

        Raises:
            StoreError: The data is missing or not what was written.
        """
        from safetensors.torch import load  # noqa: PLC0415

        path = self._data_path(entry)
        try:
            payload = self._fs.cat_file(path)
        except FileNotFoundError:
            payload = b""
        if hashlib.sha256(payload).hexdigest() != entry.sha256:
            raise StoreError(
                f"{path} holds {len(payload)} bytes that do not match its checksum "
                f"({entry.size_bytes} bytes were written). Remove the folder "
                f"{self._path(entry.kind, entry.key)} and resume; it is trained again."
            )
        tensors: dict[str, Any] = load(payload)
        return tensors

    def drop(self, kind: Kind, key: str) -> None:
        """Remove an entry, metadata first; nothing happens if there is none."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(kind, key, META))
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._path(kind, key), recursive=True)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the right to write ``key``; the operating system frees it when the holder dies.

        On a filesystem without locks (object stores) nothing is held: there one run's coordinator
        keeps two trials from the same stage, and two runs would at worst write the same content.
        """
        if not self._local:
            yield
            return
        folder = Path(self._root) / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            yield

    def _data_path(self, entry: Entry) -> str:
        return self._path(entry.kind, entry.key, DATA.format(entry.sha256[:16]))

    def _path(self, kind: str, key: str, *names: str) -> str:
        return "/".join((self._root, kind, key[:2], key, *names))

    def _write(self, path: str, payload: bytes) -> None:
        if not self._local:
            self._fs.pipe_file(path, payload)
            return
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        with open(temporary, "wb") as file:  # noqa: PTH123  (the path is fsspec's)
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
