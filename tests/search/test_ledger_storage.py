from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from search.ledger_storage import open_storage
from spaces.errors import StoreError


def test_a_storage_that_works_is_as_optunas_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(study_name="one", storage=open_storage(url))
    study.tell(study.ask(), 1.0)
    again = optuna.load_study(study_name="one", storage=url)
    assert [trial.value for trial in again.trials] == [1.0]
    with pytest.raises(KeyError):
        optuna.load_study(study_name="two", storage=open_storage(url))


def test_a_storage_that_fails_is_named_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "optuna.db"
    study = optuna.create_study(study_name="one", storage=open_storage(f"sqlite:///{file}"))
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"ledger, sqlite:.*optuna.db, fails: file is not a datab"):
        study.set_user_attr("name", "value")
