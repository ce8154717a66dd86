"""A store on S3 whose server goes away while a run goes on, and comes back."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from analysis import load_run
from tests.search.test_end_to_end import STUDY, launch, lines_until
from trainables.mini import MODEL_DIR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built"
    ),
]


class Server:
    """A real S3 server on one port of loopback, which can be taken away and brought back.

    What it holds outlives the outage, as the disks of a storage do.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._application = DomainDispatcherApplication(create_backend_app)
        self.port = 0
        self.come()

    def come(self) -> None:
        """Serve, one request at a time: so the condition of a conditional put holds."""
        self._server = make_server("127.0.0.1", self.port, self._application, threaded=False)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def go(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def turn_away(self, num_calls: int) -> None:
        """Break the connection to so many callers, in place of the server."""
        with socket.create_server(("127.0.0.1", self.port)) as listening:
            for _ in range(num_calls):
                listening.accept()[0].close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("outage")
    yield made
    made.go()


def test_a_run_waits_for_a_storage_that_is_away_and_goes_on(server: Server, tmp_path: Path) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(STUDY.replace("num_trials: 3", "num_trials: 2"), encoding="utf-8")
    run_dir = tmp_path / "run"
    process = launch(study, run_dir, "storage.stages=s3://outage/stages", "search.max_failures=0")
    lines_until(process, "[1/")
    server.go()
    # More than the S3 client itself asks for one thing.
    server.turn_away(30)
    server.come()
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert (run_dir / "finished.json").exists(), out
    found = load_run(run_dir)
    assert set(found.trials["state"]) <= {"complete", "pruned"}, found.trials["error"].tolist()
    assert set(found.stages["times_trained"]) == {1}
