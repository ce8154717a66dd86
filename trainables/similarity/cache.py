"""Values that were measured before, one small JSON file each, by fingerprint. No torch.

The fingerprint is over the measure and its version, the base model, both tasks with their data,
the checkpoints used and the settings: whatever would change a value gives it another name. Only
values are kept; that a measure was not available is found out anew, since the stage it lacked may
have been trained in the meantime.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from spaces.errors import InputError
from spaces.fingerprints import fingerprint
from trainables.similarity.measures import Measure
from trainables.similarity.settings import SimilaritySettings
from trainables.similarity.subjects import Pair, Subject, Subjects
from trainables.similarity.values import Value

#: Names the folder of the caches, where the study does not.
CACHE_VARIABLE = "TASKORDER_CACHE"
FOLDER = "similarity"


def default_folder() -> Path:
    """Return ``similarity`` in ``$TASKORDER_CACHE``, else in the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser() / FOLDER
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "taskorder" / FOLDER


class SimilarityCache:
    """Measured values by key.

    Args:
        folder: Where the caches are (the study's ``storage.cache``); the default for ``None``.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = Path(folder).expanduser() / FOLDER if folder else default_folder()

    def get(self, measure: Measure, key: str) -> dict[str, Any] | None:
        """Return what was kept under a key: ``value``, ``cost_s`` and ``num_examples``.

        A file that cannot be read or is not whole counts as none; it is written anew.
        """
        try:
            kept = json.loads(self._path(measure, key).read_text(encoding="utf-8"))
            return {
                "value": float(kept["value"]),
                "cost_s": float(kept["cost_s"]),
                "num_examples": int(kept["num_examples"]),
            }
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, measure: Measure, key: str, value: Value) -> None:
        """Keep a value; nothing is kept of one that is not available.

        Raises:
            InputError: The folder cannot be written.
        """
        if not value.is_available:
            return
        path = self._path(measure, key)
        content = {
            "measure": measure.name,
            "source": value.source,
            "target": value.target,
            "value": value.value,
            "cost_s": value.cost_s,
            "num_examples": value.num_examples,
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
            temporary.write_text(json.dumps(content), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise InputError(
                f"the cache of similarities {str(self.folder)!r} cannot be written: "
                f"{error.strerror or error}. Set storage.cache or {CACHE_VARIABLE} to a folder "
                "that can."
            ) from error

    def _path(self, measure: Measure, key: str) -> Path:
        return self.folder / measure.name / f"{key}.json"


def cache_key(
    measure: Measure, pair: Pair, subjects: Subjects, settings: SimilaritySettings
) -> str:
    """Return the fingerprint of everything that decides a value."""
    sides = [_identity(measure, subject, subjects) for subject in (pair.source, pair.target)]
    if measure.checkpoints != "none":
        sides[0]["checkpoints"] = pair.source.checkpoints
    if measure.checkpoints == "both":
        sides[1]["checkpoints"] = pair.target.checkpoints
    if measure.symmetric:
        sides.sort(key=fingerprint)
    return fingerprint(
        {
            "kind": "similarity",
            "measure": measure.name,
            "version": measure.version,
            "model": subjects.preparation.planner.base if "model" in measure.reads else "",
            "sides": sides,
            "settings": {name: getattr(settings, name) for name in measure.settings},
        }
    )


def _identity(measure: Measure, subject: Subject, subjects: Subjects) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "examples" in measure.reads:
        found["examples"] = subject.identity
    if "languages" in measure.reads:
        found["languages"] = subject.languages
    if "evaluation" in measure.reads and subject.role == "target":
        found["evaluation"] = subjects.evaluation_identity(subject)
    return found
