from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_of_training_sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tokenised training sets out of the user's own cache, in child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASKORDER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
