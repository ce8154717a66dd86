"""The run directory: where everything of a run is, and who may write there."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import socket
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from spaces.errors import RunDirectoryError
from spaces.fingerprints import TRAINING_SEMANTICS_VERSION
from spaces.study import RESOLVED, Study, parse_study
from spaces.yaml_text import read_text

FORMAT_VERSION = 1
_PACKAGES = (
    "taskorder",
    "ray",
    "torch",
    "transformers",
    "datasets",
    "deepspeed",
    "optuna",
    "pandas",
)


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def study_file(self) -> Path:
        """The resolved study."""
        return self.path / "study.yaml"

    @property
    def tables(self) -> Path:
        """The tables' folder."""
        return self.path / "tables"

    @property
    def ray(self) -> Path:
        """Ray's own folder; nothing in it matters to a resumed run."""
        return self.path / "ray"

    @property
    def finished_file(self) -> Path:
        """Says when nothing was left to run; not there before."""
        return self.path / "finished.json"

    def note_finished(self) -> None:
        """Note that nothing is left to run, once."""
        if not self.finished_file.exists():
            note = {"finished_at": datetime.now(UTC).isoformat(timespec="seconds")}
            temporary = self.finished_file.with_suffix(".tmp")
            temporary.write_text(json.dumps(note), encoding="utf-8")
            temporary.replace(self.finished_file)

    def note_unfinished(self) -> None:
        """Note that a finished run goes on after all: its budget has grown."""
        self.finished_file.unlink(missing_ok=True)

    def optuna_url(self, study: Study) -> str:
        """Return the URL of the Optuna storage."""
        return study.storage.optuna or f"sqlite:///{(self.path / 'optuna.db').resolve()}"

    def store_url(self, study: Study) -> str:
        """Return the URL of the stage store."""
        return study.storage.stages or str((self.path / "stages").resolve())

    def check_free(self) -> None:
        """Check that a run can be made here.

        Raises:
            RunDirectoryError: It holds a run already, or something else.
        """
        if self.study_file.exists():
            raise RunDirectoryError(
                f"{self.path} holds a run already. Continue it with `taskorder resume "
                f"{self.path}`, give another --run-dir, or remove the folder."
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise RunDirectoryError(
                f"{self.path} exists and is not a run directory. Give a new or empty --run-dir."
            )

    def create(self, study: Study, data_root: Path | None) -> dict[str, Any]:
        """Make the folder and write the resolved study.

        Returns:
            What ``study.yaml`` notes under ``resolved``.

        Raises:
            RunDirectoryError: As ``check_free``.
        """
        self.check_free()
        self.path.mkdir(parents=True, exist_ok=True)
        resolved = {
            "format": FORMAT_VERSION,
            "run_id": uuid.uuid4().hex,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "data_root": str(data_root.resolve()) if data_root else None,
            "training_semantics": TRAINING_SEMANTICS_VERSION,
            "python": platform.python_version(),
            "versions": _versions(),
        }
        # With its nulls: `asha: null` and a mixture's `temperature: null` are not their defaults.
        content = {**study.model_dump(mode="json"), RESOLVED: resolved}
        temporary = self.study_file.with_suffix(".tmp")
        temporary.write_text(
            yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        temporary.replace(self.study_file)
        return resolved

    def read(self) -> tuple[Study, dict[str, Any]]:
        """Return the study and what was noted with it.

        Raises:
            RunDirectoryError: No run here, or one of another version.
            InputError: The study was edited and is not valid any more.
        """
        if not self.study_file.is_file():
            raise RunDirectoryError(
                f"{self.path} is not a run directory: it has no study.yaml. Give the folder that "
                "`taskorder launch` made (runs/<study name> by default)."
            )
        text = read_text(self.study_file, "study file")
        study = parse_study(text, str(self.study_file))
        resolved = yaml.safe_load(text).get(RESOLVED)
        if not isinstance(resolved, dict):
            raise RunDirectoryError(
                f"{self.study_file} has no section {RESOLVED!r}, which `taskorder launch` writes. "
                "Put it back from a copy, or launch the study anew."
            )
        if resolved.get("format") != FORMAT_VERSION:
            raise RunDirectoryError(
                f"{self.path} has format {resolved.get('format')!r}; this version of taskorder "
                f"reads {FORMAT_VERSION}. Resume it with the version named in its study.yaml."
            )
        if resolved["training_semantics"] != TRAINING_SEMANTICS_VERSION:
            raise RunDirectoryError(
                f"{self.path} was trained under training semantics "
                f"{resolved['training_semantics']}, this version has "
                f"{TRAINING_SEMANTICS_VERSION}: its checkpoints would not be found. Resume it with "
                "the version named in its study.yaml, or launch the study anew."
            )
        return study, resolved

    @contextlib.contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the run directory: one driver at a time.

        Raises:
            RunDirectoryError: Another process drives this run; the message names it.
        """
        owner = self.path / "driver.json"
        lock = FileLock(self.path / "driver.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            try:
                who = json.loads(owner.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                who = {}
            raise RunDirectoryError(
                f"{self.path} is being driven by process {who.get('pid', '?')} on "
                f"{who.get('host', '?')} since {who.get('since', '?')}. Wait for it or end it."
            ) from None
        try:
            note = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            owner.write_text(json.dumps(note), encoding="utf-8")
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()


def _versions() -> dict[str, str]:
    """Return the versions of what a result depends on, without importing any of it."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = f"not installed in {sys.prefix}"
    return found
