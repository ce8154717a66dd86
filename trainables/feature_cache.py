"""Tokenised training sets on disk, found by the fingerprint of what they are made from.

A set is one file in a folder named by its key. The file's own name holds its checksum: it is
written under another name and renamed, so it is there as a whole or not at all, and what has been
cut or altered since is noticed when it is opened. A damaged file is set aside and made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from trainables.arrow_features import DamagedFileError, FeatureFile
from trainables.feature_files import CACHE_VARIABLE, FeatureWriter, writing

_log = logging.getLogger(__name__)

SUFFIX, DAMAGED, UNFINISHED = ".arrow", ".damaged", ".unfinished"
_BLOCK = 1 << 20


def default_cache_dir() -> Path:
    """Return ``$TASKORDER_CACHE``, else ``taskorder/features`` in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "taskorder" / "features"


class FeatureCache:
    """Files of features by key. Any number of processes may use one cache at once.

    Args:
        folder: Where it is, on this machine's or shared storage; the default one for ``None``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder.expanduser() if folder else default_cache_dir()

    def find(self, key: str) -> FeatureFile | None:
        """Return the set with this key, its checksum verified; ``None`` if there is no sound one.

        Args:
            key: Fingerprint of everything that decides the features.
        """
        for path in self._files(key):
            with contextlib.suppress(DamagedFileError):
                return _open(path, key)
        return None

    def find_or_make(self, key: str, make: Callable[[FeatureWriter], None]) -> FeatureFile:
        """Return the set with this key, made now if there is none.

        While one process makes it, the others that ask for it wait. Nothing is left behind by a
        ``make`` that fails, and what a killed process left is removed.

        Args:
            key: Fingerprint of everything that decides the features.
            make: Writes the features.

        Raises:
            InputError: The folder cannot be written.
        """
        found = self.find(key)
        if found is not None:
            return found
        folder = self.folder / key
        lock = FileLock(folder / "lock")
        with writing(self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            # Another process may have made it in the meantime.
            found = self.find(key)
            return found if found is not None else self._make(key, make)
        finally:
            lock.release()

    def _make(self, key: str, make: Callable[[FeatureWriter], None]) -> FeatureFile:
        folder = self.folder / key
        unfinished = folder / f"{uuid.uuid4().hex}{UNFINISHED}"
        with writing(self.folder):
            for path in self._files(key):
                _log.warning("%s is damaged. It is set aside and made again.", path)
                path.replace(path.with_suffix(DAMAGED))
            for leftover in folder.glob(f"*{UNFINISHED}"):
                leftover.unlink()  # Its writer is dead: the lock is ours.
        try:
            with FeatureWriter(unfinished, key) as writer:
                make(writer)
            path = folder / f"{_checksum(unfinished)}{SUFFIX}"
            with writing(self.folder):
                unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return _open(path, key)

    def _files(self, key: str) -> list[Path]:
        return sorted((self.folder / key).glob(f"*{SUFFIX}"))


def _open(path: Path, key: str) -> FeatureFile:
    """Open a file whose bytes are those that its name speaks of.

    Raises:
        DamagedFileError: They are not, or it is no file of these features.
    """
    try:
        checksum = _checksum(path)
    except OSError as error:  # Another process may just have set it aside.
        raise DamagedFileError(f"{path}: cannot be read ({error})") from None
    if checksum != path.stem:
        raise DamagedFileError(f"{path}: its content has changed")
    return FeatureFile(path, key)


def _checksum(path: Path) -> str:
    """Return the CRC-32 of a file, which is read block by block.

    It finds accidents. Verifying takes a thirtieth of a second for a million pairs of sentences.
    """
    value = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            value = zlib.crc32(block, value)
    return f"{value:08x}"
