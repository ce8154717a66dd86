"""What `taskorder check` asks of a task's sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces.errors import DataError, UnknownNameError
from tests.trainables.data.sources import CATALOGUE
from trainables.data import check_sources


def test_check_sources_returns_the_languages(root: Path) -> None:
    found = check_sources(
        CATALOGUE["xnli"], None, root, role="target", splits=("train", "dev", "test")
    )
    assert found == {"train": ("en",), "dev": ("de", "en"), "test": ("de",)}
    found = check_sources(CATALOGUE["xnli"], ["de"], root, role="target", splits=("train", "dev"))
    assert found == {"train": ("en",), "dev": ("de",)}


def test_check_sources_refuses_what_is_listed_and_missing(root: Path) -> None:
    with pytest.raises(DataError, match="task 'xnli' has no dev data in 'fr'"):
        check_sources(CATALOGUE["xnli"], ["de", "fr"], root, role="target", splits=("dev",))
    with pytest.raises(DataError, match="task 'xnli' has no train data in 'de'"):
        check_sources(CATALOGUE["xnli"], ["de"], root, role="intermediate")
    with pytest.raises(UnknownNameError, match="task 'xnli': unknown language 'fi'"):
        check_sources(CATALOGUE["xnli"], ["fi"], root, role="target")
    with pytest.raises(DataError, match="task 'panx' has no dev data"):
        check_sources(CATALOGUE["panx"], None, root, role="target", splits=("dev",))


def test_check_sources_refuses_empty_files(root: Path) -> None:
    (root / "squad/train-v1.1.json").write_bytes(b"")
    with pytest.raises(DataError, match="empty, but task 'squad1' reads its train split there"):
        check_sources(CATALOGUE["xquad"], None, root, role="target")
