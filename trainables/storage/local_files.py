"""A folder on a disk or a network filesystem.

Content becomes visible by rename or by hard link, after an fsync of the file and before one of its
folder. What is made has the permissions of the store's root, so that a root shared by a group
(``chmod g+rws``) stays shared whatever each user's umask is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from trainables.storage.errors import StoreFullError, free_bytes, store_error
from trainables.storage.files import MAX_SMALL_BYTES, PART_BYTES, Digest, Digester, Found

TMP = ".tmp"
#: What ``link`` says on filesystems that have no hard links.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
#: Another process may prune an empty folder just before a file is made in it.
_ATTEMPTS = 10

T = TypeVar("T")


class LocalFiles:
    """See ``Files``.

    Args:
        root: The folder; made when something is first written.
    """

    def __init__(self, root: str) -> None:
        self.url = root
        self.is_exclusive = True
        self._root = Path(root)

    def where(self, name: str) -> str:
        """See ``Files``."""
        return str(self._root / name)

    def read(self, name: str) -> bytes:
        """See ``Files``."""
        with self._failing(name), (self._root / name).open("rb") as file:
            return file.read(MAX_SMALL_BYTES)

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """See ``Files``."""
        found = {}
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found[name] = self.read(name)
        return found

    def read_data(self, name: str, size_bytes: int, digest: Digest | None = None) -> bytearray:
        """See ``Files``."""
        with (
            self._failing(name),
            (self._root / name).open("rb", buffering=0) as file,
            Digester(digest) as digester,
        ):
            payload = bytearray(min(size_bytes, os.fstat(file.fileno()).st_size))
            view, at = memoryview(payload), 0
            while read := file.readinto(view[at : at + PART_BYTES]):
                digester.take(view[at : at + read])
                at += read
        view.release()
        if at < len(payload):
            del payload[at:]
        return payload

    def size(self, name: str) -> int | None:
        """See ``Files``."""
        with self._failing(name):
            try:
                return (self._root / name).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, payload: bytes, *, durable: bool = True) -> None:
        """See ``Files``."""

        def rename(temporary: Path, path: Path) -> None:
            temporary.replace(path)

        self._make(name, payload, rename, durable)

    def create(self, name: str, payload: bytes, *, durable: bool = True) -> bool:
        """See ``Files``. Exclusive by hard link, which is atomic on NFS too."""

        def link(temporary: Path, path: Path) -> bool:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                # Over NFS a repeated request may be refused because the first one succeeded.
                return self.read(name) == payload
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self.is_exclusive = False
                if path.exists():
                    return False
                temporary.replace(path)
            return True

        return self._make(name, payload, link, durable)

    def check_room(self, name: str, needed_bytes: int) -> None:
        """See ``Files``."""
        free = free_bytes((self._root / name).parent)
        if free is not None and free < needed_bytes:
            raise StoreFullError(self.where(name), needed_bytes, free)

    @contextlib.contextmanager
    def spool(self, name: str) -> Iterator[Path]:
        """See ``Files``. The spool is beside the file, so that publishing is a rename."""
        path = self._root / name
        with self._failing(name):
            self._make_folder(path.parent)
        spooled = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TMP}")
        try:
            yield spooled
        finally:
            spooled.unlink(missing_ok=True)

    def publish(self, spooled: Path, name: str) -> None:
        """See ``Files``."""
        path = self._root / name
        with self._failing(name, spooled.stat().st_size):
            self._permit(spooled)
            _sync(spooled)
            spooled.replace(path)
            _sync(path.parent)

    def move(self, name: str, new: str) -> bool:
        """See ``Files``."""
        with self._failing(name):
            target = self._root / new
            self._make_folder(target.parent)
            try:
                (self._root / name).rename(target)
            except FileNotFoundError:
                return False
            _sync(target.parent)
            return True

    def remove(self, name: str) -> None:
        """See ``Files``."""
        path = self._root / name
        with self._failing(name), contextlib.suppress(FileNotFoundError):
            path.unlink()
            _sync(path.parent)

    def prune(self, folder: str) -> None:
        """See ``Files``."""
        try:
            (self._root / folder).rmdir()
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EACCES}:
                raise store_error(error, self.where(folder)) from error

    def names(self, folder: str) -> list[str]:
        """See ``Files``."""
        with self._failing(folder):
            try:
                return sorted(os.listdir(self._root / folder))  # noqa: PTH208  (names, not paths)
            except (FileNotFoundError, NotADirectoryError):
                return []

    def names_many(self, folders: Iterable[str]) -> dict[str, list[str]]:
        """See ``Files``."""
        return {folder: self.names(folder) for folder in folders}

    def walk(self, folder: str) -> Iterator[Found]:
        """See ``Files``."""
        root, waiting = str(self._root), [folder]
        while waiting:
            parent = waiting.pop()
            try:
                with os.scandir(f"{root}/{parent}") as entries:
                    for entry in entries:
                        name = f"{parent}/{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(name)
                            continue
                        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                            status = entry.stat(follow_symlinks=False)
                            yield Found(name, status.st_size, status.st_mtime)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise store_error(error, self.where(parent)) from error

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock of the operating system, which frees it when the holder dies."""
        path = self._root / name
        with self._failing(name):
            self._make_folder(path.parent)
            lock = FileLock(path, mode=stat.S_IMODE(self._root.stat().st_mode) & 0o666)
        with lock:
            yield

    def _make(
        self, name: str, payload: bytes, appear: Callable[[Path, Path], T], durable: bool
    ) -> T:
        """Write a file beside its place and let it appear there."""
        path = self._root / name
        for attempt in range(_ATTEMPTS):
            with self._failing(name, len(payload)):
                self._make_folder(path.parent, durable=durable)
                temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TMP}")
                try:
                    with temporary.open("wb") as file:
                        self._permit(temporary)
                        file.write(payload)
                        file.flush()
                        if durable:
                            os.fsync(file.fileno())
                    result = appear(temporary, path)
                except FileNotFoundError:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                finally:
                    temporary.unlink(missing_ok=True)
                if durable:
                    _sync(path.parent)
                return result
        raise AssertionError("unreachable")

    def _make_folder(self, folder: Path, *, durable: bool = True) -> None:
        """Make a folder and those above it with the root's permissions."""
        if folder.is_dir():
            return
        if folder == self._root:
            folder.mkdir(parents=True, exist_ok=True)
            return
        for attempt in range(_ATTEMPTS):
            self._make_folder(folder.parent, durable=durable)
            try:
                folder.mkdir(exist_ok=True)
                self._permit(folder)
                break
            except FileNotFoundError:  # pruned by another
                if attempt == _ATTEMPTS - 1:
                    raise
        if durable:
            _sync(folder.parent)

    def _permit(self, path: Path) -> None:
        """Give what was made the root's permissions; files are never executable."""
        mode = stat.S_IMODE(self._root.stat().st_mode)
        # Some mounts have no permissions of their own and refuse to set them.
        with contextlib.suppress(PermissionError):
            path.chmod(mode if path.is_dir() else mode & 0o666)

    @contextlib.contextmanager
    def _failing(self, name: str, needed_bytes: int = 0) -> Iterator[None]:
        """Name the path of what fails; a missing file is the caller's business."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise store_error(error, self.where(name), needed_bytes) from error


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network filesystems cannot sync a folder; they make names durable themselves.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)
