"""Turns records into packed features, in several processes where there are many.

Records are read by this process and handed out in chunks, a bounded number at a time, so memory
does not depend on how many there are. Chunks come back in order, and a chunk is the same whoever
encodes it: the result does not depend on the number of processes.
"""

from __future__ import annotations

import gc
import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from types import TracebackType

from spaces.errors import DataError, InputError, TaskorderError
from trainables.chunks import Chunk, Job, chunks_of, encode_chunk
from trainables.feature_files import EncodedChunk
from trainables.formats.base import Tokenizer
from trainables.lean_tokenizer import LeanTokenizer, tokenizer_identity
from trainables.pretrained import load_tokenizer
from trainables.processes import follow_parent
from trainables.records import Record

_log = logging.getLogger(__name__)

#: Sets the number of processes that tokenise.
PROCESSES_VARIABLE = "TASKORDER_TOKENISING_PROCESSES"
#: One process reads and writes for all of them, and keeps no more of them busy.
MAX_PROCESSES = 8
#: Chunks under way for each process: one that is encoded, one that waits, one on its way back.
CHUNKS_IN_FLIGHT = 3
#: Processes are started once so many seconds of work were not enough: it takes them as long. Until
#: the first is ready, this process goes on.
PATIENCE_S = 2.0


def num_available() -> int:
    """Return how many processes tokenise by default: this process's cores, at most 8.

    Raises:
        InputError: The environment asks for something that is no number of processes.
    """
    asked = os.environ.get(PROCESSES_VARIABLE)
    if not asked:
        return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    if not asked.isdecimal() or int(asked) < 1:
        raise InputError(f"{PROCESSES_VARIABLE}: {asked!r} is not a number of processes from 1 on.")
    return int(asked)


class Tokenising:
    """Encodes training sets; a context that ends the processes it has started.

    Args:
        tokenizer: The base model's tokenizer.
        num_processes: Number of processes that encode; by default ``num_available``.
        patience_s: How long this process encodes a set alone before it starts others.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        num_processes: int | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._tokenizer = tokenizer
        self._lean = LeanTokenizer(tokenizer)
        self._num_processes = num_processes or num_available()
        self._patience_s = patience_s
        self._pool: _Pool | None = None

    def __enter__(self) -> Tokenising:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def start(self) -> None:
        """Start the processes now, and return when one of them is ready."""
        if self._num_processes > 1:
            self._pool = self._pool or _Pool(self._tokenizer, self._num_processes)
            self._pool.wait()

    def encode(self, records: Iterable[Record], job: Job) -> Iterator[EncodedChunk]:
        """Yield the packed features of records, in their order.

        Args:
            records: Read as they are needed.
            job: What they are.

        Raises:
            DataError: A record cannot be encoded, or a process died of one.
            InputError: The task's settings do not allow it.
        """
        deadline = time.monotonic() + self._patience_s
        chunks = chunks_of(records, job.task)
        for chunk in chunks:
            if self._pool is None and self._num_processes > 1 and time.monotonic() >= deadline:
                self._pool = _Pool(self._tokenizer, self._num_processes)
            if self._pool is not None and self._pool.is_ready:
                yield from self._encode_elsewhere(self._pool, chain([chunk], chunks), job)
                return
            yield encode_chunk(self._lean, job, chunk)

    def _encode_elsewhere(
        self, pool: _Pool, chunks: Iterator[Chunk], job: Job
    ) -> Iterator[EncodedChunk]:
        most = CHUNKS_IN_FLIGHT * self._num_processes
        waiting: deque[tuple[Chunk, Future[EncodedChunk]]] = deque()
        try:
            while True:
                for chunk in islice(chunks, most - len(waiting)):
                    waiting.append((chunk, pool.submit(job, chunk)))
                if not waiting:
                    return
                yield waiting[0][1].result()
                waiting.popleft()
        except _UnfaithfulCopyError:
            _log.warning("A copy of this tokenizer differs from it: one process tokenises alone.")
            self._stop()
            self._num_processes = 1
            for chunk in chain([chunk for chunk, _ in waiting], chunks):
                yield encode_chunk(self._lean, job, chunk)
        except BrokenProcessPool:
            self._stop()
            if not waiting:
                raise TaskorderError(
                    "a process that was to tokenise died as it started, for the reason printed "
                    f"above. Set {PROCESSES_VARIABLE}=1 to have it done without further processes."
                ) from None
            first, last = waiting[0][0], waiting[-1][0]
            raise DataError(
                f"{job.origin}: a process died that tokenised records {first.start + 1} to "
                f"{last.start + len(last.records)}: killed, out of memory, or because of one of "
                f"them. Set {PROCESSES_VARIABLE}=1 to have it done without further processes."
            ) from None
        finally:
            for _, future in waiting:
                future.cancel()

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


class _Pool:
    """Processes that have each loaded a copy of the tokenizer, once."""

    def __init__(self, tokenizer: Tokenizer, num_processes: int) -> None:
        # A tokenizer is written and read again, not pickled: that would round the scores of a
        # Unigram vocabulary, and a tie between two ways to split a word might end differently.
        self._folder = tempfile.TemporaryDirectory(prefix="taskorder-tokenizer-")
        tokenizer.save_pretrained(self._folder.name)
        # They are forked from a process that has imported everything and done nothing else: that
        # is as safe as to start each from nothing, and all but 30 MB of each is shared.
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._processes = ProcessPoolExecutor(
            num_processes,
            mp_context=context,
            initializer=_initialise,
            initargs=(self._folder.name, tokenizer_identity(tokenizer)),
        )
        # Each starts a process.
        self._started = [self._processes.submit(_do_nothing) for _ in range(num_processes)]

    @property
    def is_ready(self) -> bool:
        return any(future.done() for future in self._started)

    def wait(self) -> None:
        wait(self._started, return_when=FIRST_COMPLETED)

    def submit(self, job: Job, chunk: Chunk) -> Future[EncodedChunk]:
        return self._processes.submit(_encode, job, chunk)

    def close(self) -> None:
        self._processes.shutdown(wait=True, cancel_futures=True)
        self._folder.cleanup()


class _UnfaithfulCopyError(Exception):
    """A tokenizer is not what it was after being written and read again."""


#: What a pool's process is given once: its tokenizer, and whether that is the one it should be.
_tokenizer: Tokenizer = None
_is_faithful = True


def _initialise(folder: str, identity: str) -> None:
    """Make this process one that tokenises."""
    global _tokenizer, _is_faithful  # noqa: PLW0603
    gc.freeze()  # To look at what is shared would be to copy it.
    follow_parent()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    loaded = load_tokenizer(folder)
    _is_faithful = tokenizer_identity(loaded) == identity
    _tokenizer = LeanTokenizer(loaded)
    gc.freeze()


def _do_nothing() -> None:
    """Be done as soon as there is a process for it."""


def _encode(job: Job, chunk: Chunk) -> EncodedChunk:
    if not _is_faithful:
        raise _UnfaithfulCopyError
    return encode_chunk(_tokenizer, job, chunk)
