from __future__ import annotations

import itertools
import uuid

import pytest

from trainables.store import StageStore

_COUNT = itertools.count()


@pytest.fixture(params=["local", "memory", "s3"])
def url(request, tmp_path):
    """URL of an empty folder on each kind of filesystem."""
    if request.param == "local":
        return str(tmp_path / "stages")
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/stages"
    return f"{request.getfixturevalue('s3')}/stores/{next(_COUNT)}"


@pytest.fixture
def store(url):
    """A store on each kind of filesystem."""
    return StageStore(url)
