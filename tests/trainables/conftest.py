from __future__ import annotations

import pytest
import torch.distributed as dist

from tests.trainables import tiny
from trainables.engine import init_process


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Folder of an untrained XLM-R, 2 layers, 32 wide."""
    return tiny.make_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Folder of a few records in the official layout."""
    return tiny.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def one_worker():
    """Make this process the only worker of a process group."""
    if not dist.is_initialized():
        init_process()
