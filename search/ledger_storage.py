"""The storage of the ledger, whose failures are told as those of the stage store are."""

from __future__ import annotations

import functools
from typing import Any, cast

import optuna
from sqlalchemy.exc import SQLAlchemyError

from spaces.errors import RunDirectoryError, StoreError


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Open an Optuna storage that raises a ``StoreError`` when it cannot be written or read.

    Such an error ends the run and fails no trial: the disk is full, the server has gone.

    Args:
        url: As Optuna takes it.

    Raises:
        RunDirectoryError: It cannot be opened: damaged, out of reach, of an unknown kind.
    """
    try:
        storage = optuna.storages.get_storage(url)
    except (SQLAlchemyError, ImportError) as error:
        why = " ".join(str(getattr(error, "orig", None) or error).split())
        raise RunDirectoryError(
            f"the ledger {url} cannot be opened: {why}. Is it the Optuna storage of a run, its "
            "server up, its driver installed?"
        ) from None
    return cast("optuna.storages.BaseStorage", _Telling(storage, url))


class _Telling:
    """Passes everything on, and says which storage it was that failed."""

    def __init__(self, storage: optuna.storages.BaseStorage, url: str) -> None:
        self._storage = storage
        self._url = url

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def call(*arguments: Any, **settings: Any) -> Any:
            try:
                return found(*arguments, **settings)
            except optuna.exceptions.StorageInternalError as error:
                why = getattr(error.__cause__, "orig", None) or error.__cause__ or error
                raise StoreError(
                    f"the run's ledger, {self._url}, fails: {why}. When that is mended (is its "
                    "disk full?), resume the run."
                ) from error

        return call
