"""Remembers which micro-batches a device's memory had room for.

A stage that ran out of memory goes on with half the micro-batch and the same effective batch; the
next one of the same tasks and model starts with what has fitted. Nothing but speed depends on it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

_log = logging.getLogger(__name__)


class MicroBatchSizes:
    """Largest micro-batches by what is trained on what.

    Args:
        folder: Where they are kept, one small file each; any number of processes may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, int] = {}

    def limit(self, what: Mapping[str, object]) -> int | None:
        """Return the most examples to put into a forward pass; ``None`` if nothing is known.

        Args:
            what: Everything that decides the memory: tasks, model, device and settings.
        """
        key = _key(what)
        if key not in self._known:
            try:
                found = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
                self._known[key] = int(found["micro_batch_size"])
            except FileNotFoundError:
                return None
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("%s: what fitted before cannot be read (%s)", self._folder, error)
                return None
        return self._known[key]

    def remember(self, what: Mapping[str, object], micro_batch_size: int) -> None:
        """Note that no more examples than these fit; a file that cannot be written is told."""
        key = _key(what)
        self._known[key] = micro_batch_size
        content = json.dumps({"micro_batch_size": micro_batch_size, "what": what}, default=str)
        staged = self._folder / f".{key}-{os.getpid()}-{uuid.uuid4().hex}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            staged.write_text(content, encoding="utf-8")
            staged.replace(self._folder / f"{key}.json")
        except OSError as error:
            _log.warning("%s: what fits cannot be remembered (%s)", self._folder, error)


def _key(what: Mapping[str, object]) -> str:
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
