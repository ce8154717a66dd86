"""A folder on any fsspec filesystem: S3 and what speaks its language, GCS, Azure, HDFS, SFTP...

An object appears whole or not at all, and reading it by name right after is consistent; nothing
here needs a rename, and only ``names`` and ``walk`` need a listing. On filesystems that are not
object stores a file is written under another name and moved.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from spaces.errors import StoreError
from trainables.storage.errors import StoreFullError, StoreUnreachableError, free_bytes
from trainables.storage.files import MAX_SMALL_BYTES, PART_BYTES, Digest, Digester, Found

#: Filesystems on which a file appears whole, when it has been uploaded.
WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2", "memory"}
#: Those whose fsspec implementation passes ``mode="create"`` on to the server. Elsewhere fsspec
#: looks first and writes then, which two can do at once.
CONDITIONAL = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}
#: Seconds between attempts: a storage may be gone for a minute. An attempt is the filesystem's own,
#: with the repetitions that it makes; on S3 that does not let anybody connect they take 10 s.
PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30)
#: Parts of a large file that are read at the same time.
NUM_PARTS = 8
#: Folders that are listed at the same time.
NUM_LISTINGS = 16
#: Whose errors, beside the operating system's, speak of a storage that does not answer.
_REMOTE_LIBRARIES = {"aiobotocore", "botocore", "aiohttp", "azure", "gcsfs", "google", "requests"}
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created", "modified")

T = TypeVar("T")


class RemoteFiles:
    """See ``Files``.

    Args:
        url: The folder's URL.
        pauses_s: Seconds between attempts when the storage does not answer.
        sleep: Waits that long.
    """

    def __init__(
        self,
        url: str,
        pauses_s: Sequence[float] = PAUSES_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        # fsspec may remember listings; what others have written since would not be seen.
        self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self._pauses_s = pauses_s
        self._sleep = sleep
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else self._fs.protocol
        self._is_whole = bool(WHOLE.intersection(protocols))
        self.is_exclusive = bool(CONDITIONAL.intersection(protocols))
        self._is_tried = False
        self._has_answered = True

    def where(self, name: str) -> str:
        """See ``Files``."""
        return f"{self.url.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        """See ``Files``."""
        payload: bytes = self._call(name, lambda: self._fs.cat_file(self._path(name)))
        return payload[:MAX_SMALL_BYTES]

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """See ``Files``. Many at the same time where the filesystem can."""
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}

        def cat() -> dict[str, Any]:
            found: dict[str, Any] = self._fs.cat(list(paths), on_error="return")
            for answer in found.values():
                if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                    raise answer
            return found

        found = self._call("", cat)
        stripped = {self._fs._strip_protocol(path): name for path, name in paths.items()}
        return {
            stripped[self._fs._strip_protocol(path)]: bytes(payload)
            for path, payload in found.items()
            if not isinstance(payload, Exception)
        }

    def read_data(self, name: str, size_bytes: int, digest: Digest | None = None) -> bytearray:
        """See ``Files``."""
        there = self.size(name)
        if there is None:
            raise FileNotFoundError(self.where(name))
        payload = bytearray(min(size_bytes, there))
        view = memoryview(payload)
        starts = list(range(0, len(payload), PART_BYTES))
        with Digester(digest) as digester:
            for first in range(0, len(starts), NUM_PARTS):
                batch = starts[first : first + NUM_PARTS]
                for start, part in zip(batch, self._ranges(name, batch, len(payload)), strict=True):
                    view[start : start + len(part)] = part
                    digester.take(view[start : start + len(part)])
        view.release()
        return payload

    def _ranges(self, name: str, starts: list[int], size_bytes: int) -> list[bytes]:
        """Return parts of a file, read at the same time where the filesystem can."""
        ends = [min(start + PART_BYTES, size_bytes) for start in starts]
        paths = [self._path(name)] * len(starts)
        parts: list[bytes] = self._call(
            name, lambda: self._fs.cat_ranges(paths, starts, ends, on_error="raise")
        )
        return parts

    def size(self, name: str) -> int | None:
        """See ``Files``."""
        try:
            return int(self._call(name, lambda: self._fs.info(self._path(name)))["size"])
        except FileNotFoundError:
            return None

    def write(self, name: str, payload: bytes, *, durable: bool = True) -> None:
        """See ``Files``. What a server has taken is as durable as it makes it."""
        self._call(name, lambda: self._appear(name, lambda path: self._fs.pipe_file(path, payload)))

    def create(self, name: str, payload: bytes, *, durable: bool = True) -> bool:
        """See ``Files``. Exclusive by a conditional put (``If-None-Match: *``, or its like)."""
        if not self._is_tried:
            self._try_condition()
        if not self.is_exclusive:
            if self.size(name) is not None:
                return False
            self.write(name, payload)
            return self.read(name) == payload
        path = self._path(name)

        def put() -> bool:
            try:
                self._fs.pipe_file(path, payload, mode="create")
            except OSError:
                # A refusal, in each filesystem's own words. Or our own first attempt succeeded,
                # its answer got lost, and what was refused is the repetition.
                with contextlib.suppress(FileNotFoundError):
                    return bool(self._fs.cat_file(path) == payload)
                raise
            return True

        return self._call(name, put)

    def check_room(self, name: str, needed_bytes: int) -> None:
        """See ``Files``. An object store has room; the disk of the spool may not."""
        folder = Path(tempfile.gettempdir())
        free = free_bytes(folder)
        if free is not None and free < needed_bytes:
            raise StoreFullError(f"{folder} (on the way to {self.where(name)})", needed_bytes, free)

    @contextlib.contextmanager
    def spool(self, name: str) -> Iterator[Path]:
        """See ``Files``. The spool is in the system's folder for temporary files."""
        with tempfile.TemporaryDirectory(prefix="taskorder-") as folder:
            yield Path(folder) / "data"

    def publish(self, spooled: Path, name: str) -> None:
        """See ``Files``."""
        self._call(
            name,
            lambda: self._appear(name, lambda path: self._fs.put_file(str(spooled), path)),
        )

    def move(self, name: str, new: str) -> bool:
        """See ``Files``. A copy and a removal: killed in between, the file is in both places."""

        def copy() -> bool:
            self._make_folder(self._path(new))
            try:
                self._fs.cp_file(self._path(name), self._path(new))
                self._fs.rm_file(self._path(name))
            except FileNotFoundError:
                return False
            return True

        return self._call(name, copy)

    def remove(self, name: str) -> None:
        """See ``Files``."""

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

        self._call(name, remove)

    def prune(self, folder: str) -> None:
        """See ``Files``. Object stores have no folders to remove."""
        with contextlib.suppress(FileNotFoundError, OSError, NotImplementedError):
            if not self._is_whole or "memory" in self._fs.protocol:
                self._fs.rmdir(self._path(folder))

    def names(self, folder: str) -> list[str]:
        """See ``Files``."""

        def ls() -> list[str]:
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return sorted({path.rstrip("/").rpartition("/")[2] for path in found})

        return [name for name in self._call(folder, ls) if name]

    def names_many(self, folders: Iterable[str]) -> dict[str, list[str]]:
        """See ``Files``. Many at the same time."""
        asked = list(folders)
        with ThreadPoolExecutor(NUM_LISTINGS) as pool:
            return dict(zip(asked, pool.map(self.names, asked), strict=True))

    def walk(self, folder: str) -> Iterator[Found]:
        """See ``Files``."""

        def find() -> dict[str, dict[str, Any]]:
            self._fs.invalidate_cache()
            try:
                found: dict[str, dict[str, Any]] = self._fs.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return {}
            return found

        start = len(self._fs._strip_protocol(self._root).rstrip("/")) + 1
        for path, info in self._call(folder, find).items():
            yield Found(path[start:], int(info["size"] or 0), _modified_at(info))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _make_folder(self, path: str) -> None:
        if not self._is_whole or "memory" in self._fs.protocol:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _appear(self, name: str, upload: Callable[[str], Any]) -> None:
        """Let a file appear whole: uploads do, elsewhere it is moved to its place."""
        path = self._path(name)
        self._make_folder(path)
        if self._is_whole:
            upload(path)
            return
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        upload(temporary)
        self._fs.mv(temporary, path)

    def _try_condition(self) -> None:
        """Find out whether the server heeds a conditional put: some old ones ignore it."""
        self._is_tried = True
        if not self.is_exclusive:
            return
        name = f"trials/{uuid.uuid4().hex}"
        path = self._path(name)
        self.write(name, b"first")
        try:
            self._fs.pipe_file(path, b"second", mode="create")
        except OSError:
            pass
        except TypeError:
            self.is_exclusive = False  # an implementation that does not know the mode
        else:
            self.is_exclusive = False
        self.remove(name)

    def _call(self, name: str, call: Callable[[], T]) -> T:
        """Call the filesystem, again and again for a minute if it does not answer.

        A storage that has not answered for as long is asked once from then on, until it answers:
        so a run that ends for it does not wait for each of the things it has to give back.
        """
        for pause in (*(self._pauses_s if self._has_answered else ()), None):
            try:
                result = call()
            except (FileNotFoundError, FileExistsError):
                self._has_answered = True
                raise
            except PermissionError as error:
                raise StoreError(
                    f"{self.where(name)}: {error}. Every user of a shared store needs to list, "
                    "read, write and delete objects under it."
                ) from error
            except Exception as error:
                if not _is_outage(error):
                    raise
                if pause is None:
                    self._has_answered = False
                    raise StoreUnreachableError(
                        f"{self.where(name)}: {type(error).__name__}: {error}. If the storage is "
                        "back, resume the run."
                    ) from error
                self._sleep(pause)
            else:
                self._has_answered = True
                return result
        raise AssertionError("unreachable")


def _is_outage(error: Exception) -> bool:
    """Whether an error may be gone when the same is tried again."""
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or library in _REMOTE_LIBRARIES


def _modified_at(info: dict[str, Any]) -> float | None:
    """Return when a file was last written, as far as its filesystem tells."""
    for name in _TIMES:
        match info.get(name):
            case datetime() as time_:
                return time_.timestamp()
            case int() | float() as seconds:
                return float(seconds)
            case str() as text:
                with contextlib.suppress(ValueError):
                    return datetime.fromisoformat(text).timestamp()
    return None
