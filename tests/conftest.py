from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

_BUCKET = "tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first whose tests may take longest: no process is left with one at the end.

    A test's time limit and the mark ``slow`` tell how long.
    """
    longest: dict[Path, tuple[float, int]] = {}
    for item in items:
        limit = item.get_closest_marker("timeout")
        seconds = float(limit.args[0]) if limit is not None else 0.0
        is_slow = item.get_closest_marker("slow") is not None
        before = longest.get(item.path, (0.0, 0))
        longest[item.path] = (max(before[0], seconds * is_slow), before[1] + is_slow)
    items.sort(key=lambda item: longest[item.path], reverse=True)


@pytest.fixture(scope="session", autouse=True)
def cache_of_training_sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tokenised training sets out of the user's own cache, in child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASKORDER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """URL of a bucket on a real S3 server on loopback, for child processes too.

    One server for the whole session, since its buckets belong to the process. It looks first and
    writes then when a put is conditional; it handles one request at a time, so that the condition
    holds, as S3's does.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir(_BUCKET)
        yield f"s3://{_BUCKET}"
        fsspec.filesystem("s3").clear_instance_cache()
    server.shutdown()
    thread.join()
    server.server_close()
