from __future__ import annotations

import errno
import os
import threading
import uuid
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from spaces.errors import StoreError
from trainables.storage.errors import StoreUnreachableError
from trainables.storage.local_files import LocalFiles
from trainables.storage.remote_files import RemoteFiles
from trainables.store import open_files


@pytest.fixture
def files(url):
    return open_files(url)


def test_small_files(files):
    with pytest.raises(FileNotFoundError):
        files.read("a/b.json")
    assert files.size("a/b.json") is None
    files.write("a/b.json", b"one")
    files.write("a/b.json", b"three")
    assert files.read("a/b.json") == b"three"
    assert files.size("a/b.json") == 5
    files.write("a/c.json", b"")
    assert files.read("a/c.json") == b""
    assert files.read_many(["a/b.json", "a/c.json", "a/d.json", "e"]) == {
        "a/b.json": b"three",
        "a/c.json": b"",
    }
    assert files.read_many([]) == {}
    files.remove("a/b.json")
    files.remove("a/b.json")
    assert files.read_many(["a/b.json"]) == {}


def test_what_is_there_is_not_created_again(files):
    assert files.create("a/b", b"mine")
    assert not files.create("a/b", b"other")
    assert files.read("a/b") == b"mine"
    # An answer that got lost and a request that was repeated.
    assert files.create("a/b", b"mine")
    assert files.is_exclusive
    assert sorted(files.names("a")) == ["b"]


def test_of_several_that_create_one_succeeds(files):
    for attempt in range(5):
        start, won = threading.Barrier(4), []

        def race(number, name=f"race/{attempt}", start=start, won=won):
            start.wait()
            if files.create(name, b"%d" % number):
                won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert files.read(f"race/{attempt}") == b"%d" % won[0]


def test_large_files(files, monkeypatch):
    monkeypatch.setattr("trainables.storage.remote_files.PART_BYTES", 1000)
    payload = os.urandom(9_500)
    with pytest.raises(FileNotFoundError):
        files.read_data("x/data", 10)
    with files.spool("x/data") as path:
        path.write_bytes(payload)
        assert files.size("x/data") is None
        files.publish(path, "x/data")
    assert not path.exists()
    assert files.read_data("x/data", len(payload)) == payload
    assert files.read_data("x/data", len(payload) + 5) == payload
    assert files.read_data("x/data", 4_000) == payload[:4_000]
    with files.spool("x/given_up") as path:
        path.write_bytes(payload)
    assert not path.exists()
    assert [found.name for found in files.walk("x")] == ["x/data"]


def test_listing_and_moving(files):
    assert files.names("nothing") == []
    assert list(files.walk("nothing")) == []
    for name in ("s/ab/k1/meta", "s/ab/k1/data", "s/cd/k2/meta"):
        files.write(name, name.encode())
    assert files.names("s") == ["ab", "cd"]
    assert files.names("s/ab/k1") == ["data", "meta"]
    found = {item.name: item for item in files.walk("s")}
    assert sorted(found) == ["s/ab/k1/data", "s/ab/k1/meta", "s/cd/k2/meta"]
    assert all(item.size_bytes == len(item.name) for item in found.values())
    assert all(item.modified_at > 1.7e9 for item in found.values())
    assert files.move("s/ab/k1/data", "t/u/data")
    assert not files.move("s/ab/k1/data", "t/u/data")
    assert files.read("t/u/data") == b"s/ab/k1/data"
    assert files.names("s/ab/k1") == ["meta"]
    files.prune("s/ab/k1")
    files.remove("s/ab/k1/meta")
    files.prune("s/ab/k1")
    files.prune("s/ab/k1")
    assert files.names("s/ab") == []


def test_a_folder_that_another_prunes_is_made_again(tmp_path, monkeypatch):
    files = LocalFiles(str(tmp_path / "root"))
    real, num_made = LocalFiles._make_folder, 0

    def pruned(self, folder, **how):
        nonlocal num_made
        real(self, folder, **how)
        num_made += 1
        if num_made < 4 and folder.name == "folder":
            folder.rmdir()

    monkeypatch.setattr(LocalFiles, "_make_folder", pruned)
    files.write("folder/file", b"there")
    assert files.read("folder/file") == b"there"


def test_content_is_durable_before_it_is_visible(tmp_path, monkeypatch):
    """The order of operations, as the operating system is asked for them."""
    files, done = LocalFiles(str(tmp_path)), []
    for name in ("fsync", "link", "replace", "unlink"):
        real = getattr(os, name)

        def noted(*arguments, real=real, name=name, **kind):
            first = arguments[0]
            what = Path(f"/proc/self/fd/{first}").readlink() if name == "fsync" else Path(first)
            done.append((name, "folder" if what.is_dir() else str(what)))
            return real(*arguments, **kind)

        monkeypatch.setattr(os, name, noted)
    files.write("file", b"1")
    files.create("other", b"2")
    with files.spool("data") as path:
        path.write_bytes(b"3")
        files.publish(path, "data")
    visible = [i for i, (name, _) in enumerate(done) if name in ("link", "replace")]
    assert len(visible) == 3
    for at in visible:
        assert done[at - 1] == ("fsync", done[at][1])
        assert ("fsync", "folder") in done[at:]


def test_without_hard_links_creation_is_not_exclusive_and_says_so(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    files = LocalFiles(str(tmp_path))
    assert files.create("a", b"1")
    assert not files.is_exclusive
    assert not files.create("a", b"2")
    assert files.read("a") == b"1"
    assert files.names("") == ["a"]


class Heedless(MemoryFileSystem):
    """A server that ignores the condition of a put, as old S3-compatible ones do."""

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        super().pipe_file(path, value)


class Renaming(MemoryFileSystem):
    """A filesystem on which a file is visible while it is written, and is renamed whole."""

    protocol = "renaming"
    moved: list[tuple[str, str]] = []  # noqa: RUF012  (one list, for the test)

    def mv(self, path1, path2, **kwargs):
        self.moved.append((path1, path2))
        super().mv(path1, path2)


def remote(filesystem):
    files = RemoteFiles(f"memory://{uuid.uuid4().hex}")
    files._fs = filesystem
    return files


def test_a_server_that_ignores_conditions_is_found_out():
    files = remote(Heedless())
    assert files.create("a", b"1")
    assert not files.is_exclusive
    assert not files.create("a", b"2")
    assert files.read("a") == b"1"
    assert files.names("trials") == []


def test_what_is_not_an_object_store_gets_files_by_rename():
    files = remote(Renaming())
    files._is_whole = files.is_exclusive = False
    files.write("a/b", b"1")
    assert files.create("a/c", b"2")
    assert not files.create("a/c", b"3")
    ends = [(old.endswith(".tmp"), new[-3:]) for old, new in Renaming.moved]
    assert ends == [(True, "a/b"), (True, "a/c")]
    assert files.names("a") == ["b", "c"]


class Failing(MemoryFileSystem):
    """A storage that is out of reach for some requests."""

    left = 0
    error: Exception = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    def cat_file(self, path, *arguments, **kind):
        if self.left:
            self.left -= 1
            raise self.error
        return super().cat_file(path, *arguments, **kind)


def failing(num_failures, error=Failing.error):
    waited = []
    files = RemoteFiles(f"memory://{uuid.uuid4().hex}", sleep=waited.append)
    files._fs = Failing(skip_instance_cache=True)
    files._fs.left, files._fs.error = num_failures, error
    files.write("a", b"1")
    return files, waited


def test_a_storage_that_is_gone_for_a_minute_is_waited_for():
    files, waited = failing(6)
    assert files.read("a") == b"1"
    assert sum(waited) == 30.5
    files, waited = failing(100)
    with pytest.raises(StoreUnreachableError, match=r"/a: ConnectionResetError: .* resume") as told:
        files.read("a")
    assert sum(waited) > 60
    assert told.value.retryable
    # Given up, it is asked once; when it answers again, it is waited for again.
    waited.clear()
    with pytest.raises(StoreUnreachableError):
        files.read("a")
    assert waited == []
    files._fs.left = 0
    assert files.read("a") == b"1"
    files._fs.left = 1
    assert files.read("a") == b"1"
    assert len(waited) == 1


def test_what_waiting_does_not_mend_is_told_at_once():
    files, waited = failing(1, PermissionError("AccessDenied"))
    with pytest.raises(StoreError, match=r"AccessDenied.*list, read, write and delete"):
        files.read("a")
    files, waited = failing(1, TypeError("a mistake of ours"))
    with pytest.raises(TypeError):
        files.read("a")
    assert waited == []


def test_a_put_whose_answer_got_lost_counts(monkeypatch):
    files = RemoteFiles(f"memory://{uuid.uuid4().hex}", sleep=lambda _: None)
    files.create("first", b"")
    real, calls = MemoryFileSystem.pipe_file, []

    def lossy(self, path, value, mode="overwrite", **kind):
        calls.append(path)
        real(self, path, value, mode, **kind)
        if len(calls) == 1:
            raise TimeoutError("no answer")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lossy)
    assert files.create("a", b"mine")
    assert files.is_exclusive
