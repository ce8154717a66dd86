"""Three Ray nodes on one machine: a trial on two of them, and one that disappears."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from tests.search.test_end_to_end import STUDY, command, lines_until, training_workers
from trainables.mini import MODEL_DIR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc"),
    pytest.mark.skipif(
        not (MODEL_DIR / "config.json").is_file(), reason="the mini model is not built"
    ),
    # Ray's own, about files and processes it leaves open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

#: One CPU each, so that no node has room for two workers.
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster  # noqa: PLC0415  (seconds, and this test alone needs it)

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "180")  # on a busy machine
    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    for _ in range(2):
        made.add_node(**NODE)
    yield made
    made.shutdown()


def raylet(node: Any) -> int:
    """The process that all of a node's workers descend from."""
    return int(node.all_processes["raylet"][0].process.pid)


def test_a_node_that_disappears_costs_nothing_but_the_work_in_flight(
    cluster: Any, tmp_path: Path
) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(STUDY.replace("num_trials: 3", "num_trials: 1"), encoding="utf-8")
    run_dir = tmp_path / "run"
    options = {
        "resources.workers_per_trial": 2,
        "search.max_failures": 0,
        "search.confirm.top": 0,
        "storage.checkpoint_every_steps": 2,
    }
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    process = subprocess.Popen(
        command("launch", study, "--run-dir", run_dir, "--address", cluster.address, *settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines_until(process, "[2/")
    nodes = [cluster.head_node, *cluster.worker_nodes]
    hosting = [node for node in nodes if list(training_workers(raylet(node)))]
    assert len(hosting) == 2, "the workers of the trial are on two nodes"
    victim = next(node for node in hosting if node is not cluster.head_node)
    cluster.remove_node(victim, allow_graceful=False)
    cluster.add_node(**NODE)
    _, err = process.communicate()
    assert process.returncode == 0, err
    found = load_run(run_dir)
    assert set(found.trials["state"]) <= {"complete", "pruned"}, found.trials["error"].tolist()
    assert set(found.stages["times_trained"]) == {1}
