from __future__ import annotations

import itertools
import logging
import threading
import uuid

import fsspec
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from trainables.store import StageStore

_BUCKET = "stages"
_COUNT = itertools.count()


@pytest.fixture(scope="session")
def s3():
    """URL of a bucket on a real S3 server on loopback, for child processes too.

    The server looks first and writes then when a put is conditional. It handles one request at a
    time, so that the condition holds, as S3's does.
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


@pytest.fixture(params=["local", "memory", "s3"])
def url(request, tmp_path):
    """URL of an empty folder on each kind of filesystem."""
    if request.param == "local":
        return str(tmp_path / "stages")
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/stages"
    return f"{request.getfixturevalue('s3')}/{next(_COUNT)}"


@pytest.fixture
def store(url):
    """A store on each kind of filesystem."""
    return StageStore(url)
