"""Tokenises everything a study trains on, before its first trial.

So a record that cannot be read or tokenised is found before any time is spent on training, and
workers find their training sets in the cache. It is done in a process of its own: the driver, which
lives as long as the run, needs no torch.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from spaces.errors import TaskorderError
from spaces.study import Study
from trainables.feature_files import Counts
from trainables.processes import follow_parent

#: Is told a stream, in its text form, how many of its records have been tokenised so far, and how
#: many it has, where that is known.
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class PreparedStream:
    """What a stream of training examples holds.

    Attributes:
        stream: The stream, in its text form.
        counts: Its records and examples, and what was left out.
        num_tokenised: Records tokenised now; 0 where all of it was in the cache.
    """

    stream: str
    counts: Counts
    num_tokenised: int


def prepare_training_sets(
    study: Study,
    model_path: str,
    data_root: Path | None,
    cache_dir: Path | None,
    *,
    progress: Progress | None = None,
    sizes: Mapping[str, int] | None = None,
    num_processes: int | None = None,
) -> tuple[PreparedStream, ...]:
    """Put every training set of a study into the cache, if it is not there yet.

    Args:
        study: The study.
        model_path: Hugging Face folder or hub id of the base model.
        data_root: Folder of the official files.
        cache_dir: Folder of the tokenised training sets; the default one for ``None``.
        progress: Called while it goes on; not at all where everything is in the cache.
        sizes: Number of records by stream, in its text form, where they were counted; else 0.
        num_processes: Number of processes that tokenise; as many as this one has cores by default.

    Returns:
        What each stream holds, in the study's order.

    Raises:
        InputError: A set without labels, a record that cannot be read or tokenised, settings that
            do not allow it, a tokenizer that cannot be loaded, or a cache that cannot be written.
        TaskorderError: The process that did it died.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (study.model_dump(mode="json"), model_path, data_root, cache_dir, num_processes)
    process = context.Process(target=_work, args=(sender, *arguments))
    process.start()
    sender.close()
    try:
        while True:
            kind, content = receiver.recv()
            if kind == "done":
                process.join()
                return content  # type: ignore[no-any-return]
            if kind == "failed":
                raise content
            if progress is not None:
                stream, num_done = content
                progress(stream, num_done, (sizes or {}).get(stream) or None)
    except EOFError:
        process.join()
        raise TaskorderError(
            f"the process that tokenised the training sets died (exit code {process.exitcode}): "
            "killed, out of memory, or for the reason printed above. Run it again to go on."
        ) from None
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _work(
    sender: Connection,
    study: dict[str, Any],
    model_path: str,
    data_root: Path | None,
    cache_dir: Path | None,
    num_processes: int | None,
) -> None:
    """Be the process that does it, and tell the other one."""
    follow_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Torch, in this process alone.
    from trainables.study_sets import open_training_sets  # noqa: PLC0415

    def tell(stream: str, num_done: int) -> None:
        sender.send(("told", (stream, num_done)))

    try:
        prepared = open_training_sets(
            Study.model_validate(study),
            model_path,
            data_root,
            cache_dir,
            tell=tell,
            num_processes=num_processes,
        )
    except TaskorderError as error:
        sender.send(("failed", error))
    else:
        sender.send(("done", prepared))
