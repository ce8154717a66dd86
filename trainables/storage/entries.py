"""What an entry is: its names in the store, and its metadata as JSON.

    stages/<key[:2]>/<key>/data-<checksum>-<writer>.safetensors    the tensors
                          /meta.json                               written last: it is complete
                          /used.json                               how often it was loaded
    evicted/stages/<key>.json                                      a tombstone: what was there

Metadata may have been written by anybody. Everything in it is checked before it is used.
"""

from __future__ import annotations

import json
import os
import re
import socket
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from spaces.errors import StoreError

Kind = Literal["stages", "progress"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: An entry's identity within the store.
EntryKey = tuple[Kind, str]

#: 1 named the data by its checksum alone, so its name was not in the metadata.
FORMAT_VERSION = 2
META = "meta.json"
USED = "used.json"
EVICTED = "evicted"

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{3,159}")
_DATA = re.compile(r"data-[0-9a-f]{16}(-[0-9a-f]{8})?\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A complete entry.

    Attributes:
        kind: ``stages`` (encoder weights) or ``progress`` (a target's fine-tuning at a budget).
        key: Its fingerprint.
        size_bytes: Size of the data.
        sha256: Checksum of the data.
        metadata: What the writer noted (sequence, parent, steps, wall seconds...).
        data: Name of the file with the data.
        clock: The store's eviction clock when it was written.
    """

    kind: Kind
    key: str
    size_bytes: int
    sha256: str
    metadata: dict[str, Any]
    data: str
    clock: float = 0.0

    @property
    def folder(self) -> str:
        """Folder of its files."""
        return folder_name(self.kind, self.key)

    @property
    def data_name(self) -> str:
        """Name of its data in the store."""
        return f"{self.folder}/{self.data}"


@dataclass(frozen=True, slots=True)
class Evicted:
    """An entry that made room.

    Attributes:
        kind: Its kind.
        key: Its key.
        size_bytes: What it took.
        rebuild_s: Seconds of training it would take to have it again.
        score: What it was worth keeping, GreedyDual-Size-Frequency; seconds per GB.
        metadata: What its writer had noted.
        data: Name of the file that held its data.
        evicted_at: When, ISO 8601.
        run: The run that evicted it.
    """

    kind: Kind
    key: str
    size_bytes: int
    rebuild_s: float
    score: float
    metadata: dict[str, Any]
    data: str = ""
    evicted_at: str = ""
    run: str = ""


class DamagedError(ValueError):
    """A file is not what the store would have written; the message says why."""


def check_key(key: str) -> str:
    """Return a key that can be part of a path.

    Raises:
        StoreError: It cannot.

    >>> check_key("ab12-30")
    'ab12-30'
    """
    if not _KEY.fullmatch(key):
        raise StoreError(
            f"{key!r} is not a key of the stage store: 4 to 160 letters, digits, - and _, the "
            "first a letter or digit."
        )
    return key


def folder_name(kind: str, key: str) -> str:
    """Return the folder of an entry, relative to the store.

    Raises:
        StoreError: The kind or key is none.
    """
    if kind not in KINDS:
        raise StoreError(f"{kind!r} is not a kind of entry of the stage store: {', '.join(KINDS)}.")
    return f"{kind}/{check_key(key)[:2]}/{key}"


def meta_name(kind: str, key: str) -> str:
    """Return the name of an entry's metadata."""
    return f"{folder_name(kind, key)}/{META}"


def tombstone_name(kind: str, key: str) -> str:
    """Return the name of an entry's tombstone."""
    folder_name(kind, key)
    return f"{EVICTED}/{kind}/{key}.json"


def key_of_tombstone(name: str) -> str | None:
    """Return the key that a tombstone's name, without its folder, speaks of; ``None`` if none."""
    key = name.removesuffix(".json")
    return key if name.endswith(".json") and _KEY.fullmatch(key) else None


def new_data_name(sha256: str) -> str:
    """Return a name for data, no other writer's: no file is ever written over."""
    return f"data-{sha256[:16]}-{uuid.uuid4().hex[:8]}.safetensors"


def is_data_name(name: str) -> bool:
    """Whether a file's name, without its folder, is one of data."""
    return bool(_DATA.fullmatch(name))


def encode(entry: Entry) -> bytes:
    """Return an entry's metadata as it is written."""
    content = {
        "format": FORMAT_VERSION,
        **asdict(entry),
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "owner": f"{socket.gethostname()}:{os.getpid()}",
        # Two writers of the same content can tell which of them the file is from.
        "nonce": uuid.uuid4().hex,
    }
    return json.dumps(content, indent=1).encode()


def decode(kind: Kind, key: str, payload: bytes, where: str) -> Entry:
    """Read an entry's metadata.

    Args:
        kind: Kind that was asked for.
        key: Key that was asked for.
        payload: The file.
        where: Its path, for messages.

    Raises:
        DamagedError: It is not what the store would have written there.
        StoreError: A later version of this program wrote it.
    """
    meta = read_object(payload)
    version = meta.get("format")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise StoreError(
            f"{where} has format {version}, this version of taskorder reads {FORMAT_VERSION} and "
            "older. Use the version that wrote it, or another storage.stages."
        )
    if version not in (1, FORMAT_VERSION):
        raise DamagedError(f"format {version!r}")
    if (meta.get("kind"), meta.get("key")) != (kind, key):
        raise DamagedError(f"it speaks of {meta.get('kind')!r} {meta.get('key')!r}")
    size_bytes, sha256, metadata = (meta.get(n) for n in ("size_bytes", "sha256", "metadata"))
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 8:
        raise DamagedError(f"size_bytes {size_bytes!r}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise DamagedError(f"sha256 {sha256!r}")
    if not isinstance(metadata, dict):
        raise DamagedError(f"metadata {metadata!r}")
    data = meta.get("data", f"data-{sha256[:16]}.safetensors")
    if not isinstance(data, str) or not is_data_name(data):
        raise DamagedError(f"data {data!r}")
    return Entry(kind, key, size_bytes, sha256, metadata, data, number(meta.get("clock")))


def encode_tombstone(evicted: Evicted) -> bytes:
    """Return a tombstone as it is written."""
    return json.dumps({"format": FORMAT_VERSION, **asdict(evicted)}, indent=1).encode()


def decode_tombstone(kind: Kind, key: str, payload: bytes) -> Evicted | None:
    """Read a tombstone; ``None`` if it is damaged, which costs nothing but what it says."""
    try:
        content = read_object(payload)
    except DamagedError:
        return None
    metadata = content.get("metadata")
    return Evicted(
        kind,
        key,
        int(number(content.get("size_bytes"))),
        number(content.get("rebuild_s")),
        number(content.get("score")),
        metadata if isinstance(metadata, dict) else {},
        str(content.get("data", "")),
        str(content.get("evicted_at", "")),
        str(content.get("run", "")),
    )


def read_object(payload: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        DamagedError: It is none.
    """
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DamagedError("not a JSON object")
    return content


def number(value: Any) -> float:
    """Return a number that is finite and not negative, 0 for anything else.

    >>> [number(value) for value in (2, 1.5, -1, "3", None, float("inf"), True)]
    [2.0, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < float("inf") else 0.0
