"""Failures of the stage store, by what is to be done about them.

A *retryable* failure may be gone when the same is tried again: a full disk, a storage that is out
of reach for a minute. A lost entry is mended by training it again. Any other ``StoreError`` needs
a person.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from spaces.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class EntryLostError(StoreError):
    """An entry that was found is gone: damaged and set aside, evicted or removed.

    Attributes:
        kind: Kind of the entry.
        key: Its key; to train it again is the remedy.
    """

    def __init__(self, kind: str, key: str, message: str) -> None:
        self.kind = kind
        self.key = key
        super().__init__(message)

    def __reduce__(self) -> tuple[type[EntryLostError], tuple[str, str, str]]:
        """Pickle with all arguments: the error travels from a worker to its trainable."""
        return type(self), (self.kind, self.key, str(self))


class StoreFullError(StoreError):
    """There is no room for an entry. Retryable: nothing half-written is left behind.

    Attributes:
        needed_bytes: What was to be written.
        free_bytes: What there was room for; ``None`` where the filesystem does not say.
    """

    retryable = True

    def __init__(self, where: str, needed_bytes: int, free_bytes: int | None) -> None:
        self.where = where
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        free = "an unknown number of" if free_bytes is None else f"{free_bytes:,}"
        super().__init__(
            f"{where}: no room for {needed_bytes:,} bytes, {free} bytes are free to this user "
            "(a quota or a limit on the size of files may be lower). Make room, or set "
            "storage.max_size_gb so that stages which are cheap to rebuild are evicted; then "
            "resume."
        )

    def __reduce__(self) -> tuple[type[StoreFullError], tuple[str, int, int | None]]:
        """Pickle with all arguments."""
        return type(self), (self.where, self.needed_bytes, self.free_bytes)


class StoreUnreachableError(StoreError):
    """The storage does not answer, or answers with an error. Retryable."""

    retryable = True


def store_error(error: OSError, where: str, needed_bytes: int = 0) -> StoreError:
    """Return the store's error for an operating system's.

    Args:
        error: What was raised.
        where: Path or URL that was worked on.
        needed_bytes: What was to be written, if anything.
    """
    if error.errno in _FULL:
        return StoreFullError(where, needed_bytes, free_bytes(Path(where)))
    if error.errno in _FORBIDDEN:
        return StoreError(
            f"{where}: {error.strerror or error}. Every user of a shared store needs to read and "
            "write in it: give its folder to a common group with `chmod g+rws` before it is first "
            "used; what is made in it gets the same permissions."
        )
    return StoreUnreachableError(
        f"{where}: {error.strerror or error}. If the storage is back, resume the run."
    )


def free_bytes(path: Path) -> int | None:
    """Return what an ordinary user may still write where ``path`` is; ``None`` if unknown."""
    for folder in (path, *path.parents):
        if folder.is_dir():
            return shutil.disk_usage(folder).free
    return None
