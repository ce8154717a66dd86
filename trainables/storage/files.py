"""What the store asks of a filesystem: a few operations, each whole or not at all.

``LocalFiles`` (a disk, NFS) and ``RemoteFiles`` (any fsspec filesystem) are its implementations.
Names are relative to the store's root, their parts joined by ``/``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

#: Longest content of a small file that is read; a longer one is not ours.
MAX_SMALL_BYTES = 16 * 2**20
#: Size of the parts in which a large file is read.
PART_BYTES = 16 * 2**20


class Digest(Protocol):
    """A checksum that is fed piece by piece, as those of ``hashlib``."""

    def update(self, piece: memoryview, /) -> None:
        """Take in a piece."""


class Digester:
    """Feeds a checksum in a thread of its own: the next part is read while it works.

    Args:
        digest: The checksum, if any.
    """

    def __init__(self, digest: Digest | None) -> None:
        self._digest = digest
        self._worker = ThreadPoolExecutor(1)
        self._taken: list[Future[None]] = []

    def __enter__(self) -> Digester:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all is taken in."""
        self._worker.shutdown()
        for taken in self._taken:
            taken.result()

    def take(self, piece: memoryview) -> None:
        """Take in a piece; it must not change any more."""
        if self._digest is not None:
            self._taken.append(self._worker.submit(self._digest.update, piece))


class Found(NamedTuple):
    """A file in a listing.

    Attributes:
        name: Its name.
        size_bytes: Its size.
        modified_at: When it was last written, by the storage's clock, in seconds since the epoch;
            ``None`` where the storage does not say.
    """

    name: str
    size_bytes: int
    modified_at: float | None


class Files(Protocol):
    """A folder on some filesystem.

    Every method raises ``StoreError`` when the filesystem fails; its message names the path.

    Attributes:
        url: The folder.
        is_exclusive: Whether ``create`` lets exactly one of several writers succeed. Where it is
            false two may think they did; the content of one of them stays. It is known once
            ``create`` has been called.
    """

    url: str
    is_exclusive: bool

    def where(self, name: str) -> str:
        """Return a file's full path or URL, for messages."""

    def read(self, name: str) -> bytes:
        """Return a small file's content.

        Raises:
            FileNotFoundError: There is none.
        """

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the content of those of many small files that there are."""

    def read_data(self, name: str, size_bytes: int, digest: Digest | None = None) -> bytearray:
        """Return a large file's content; less than ``size_bytes`` if it is shorter.

        Args:
            name: Its name.
            size_bytes: How much of it is wanted.
            digest: Is given the content in order, while more of it is read.

        Raises:
            FileNotFoundError: There is none.
        """

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes, ``None`` if there is no such file."""

    def write(self, name: str, payload: bytes, *, durable: bool = True) -> None:
        """Write a small file, over an old one if there is one.

        Args:
            name: Its name.
            payload: Its content.
            durable: Whether it must be on disk when this returns, to outlive a power failure.
                Visible to everybody it is in any case.
        """

    def create(self, name: str, payload: bytes, *, durable: bool = True) -> bool:
        """Write a small file unless there is one; whether the file is now this one.

        Args:
            name: Its name.
            payload: Its content, different from what any other writer would write: an answer that
                got lost on the way is made up for by reading the file back.
            durable: As for ``write``.
        """

    def check_room(self, name: str, needed_bytes: int) -> None:
        """Raise ``StoreFullError`` if a large file is known not to fit."""

    def spool(self, name: str) -> AbstractContextManager[Path]:
        """Give a local path to write a large file to; what is left of it at the end is removed."""

    def publish(self, spooled: Path, name: str) -> None:
        """Let a spooled file appear under its name; durable when it returns."""

    def move(self, name: str, new: str) -> bool:
        """Move a file; whether there was one."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if there is none."""

    def prune(self, folder: str) -> None:
        """Remove a folder if it is empty."""

    def names(self, folder: str) -> list[str]:
        """Return the last parts of the names in a folder, sorted; none if it is not there."""

    def names_many(self, folders: Iterable[str]) -> dict[str, list[str]]:
        """Return ``names`` of many folders, by folder."""

    def walk(self, folder: str) -> Iterator[Found]:
        """Return every file under a folder, in any order."""
