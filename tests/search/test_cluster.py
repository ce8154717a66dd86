"""Three Ray nodes on one machine: a trial on two of them, and one that disappears."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from spaces.sequences import Sequence
from spaces.study import load_study
from tests.search.heads import ENVIRONMENT, free_ports, node
from tests.search.test_end_to_end import STUDY, command, lines_until, training_workers
from trainables.mini import MODEL_DIR
from trainables.preparation import prepare
from trainables.storage.leases import Lease
from trainables.store import StageStore

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


def launch_on_two_nodes(
    folder: Path, address: str, *, cpus_per_worker: float = 1
) -> subprocess.Popen[str]:
    """Launch a run in ``folder / "run"`` whose trials have two workers; no failure is allowed."""
    study = folder / "tiny.yaml"
    study.write_text(STUDY.replace("num_trials: 3", "num_trials: 1"), encoding="utf-8")
    options = {
        "resources.workers_per_trial": 2,
        "resources.cpus_per_worker": cpus_per_worker,
        "search.max_failures": 0,
        "search.confirm.top": 0,
        "storage.checkpoint_every_steps": 2,
    }
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    return subprocess.Popen(
        command("launch", study, "--run-dir", folder / "run", "--address", address, *settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], run_dir: Path) -> None:
    """Wait for a run to end, as if it had lost nothing."""
    _, err = process.communicate()
    assert process.returncode == 0, err
    found = load_run(run_dir)
    assert set(found.trials["state"]) <= {"complete", "pruned"}, found.trials["error"].tolist()
    assert set(found.stages["times_trained"]) == {1}


def test_a_node_that_disappears_costs_nothing_but_the_work_in_flight(
    cluster: Any, tmp_path: Path
) -> None:
    process = launch_on_two_nodes(tmp_path, cluster.address)
    lines_until(process, "[2/")
    nodes = [cluster.head_node, *cluster.worker_nodes]
    hosting = [node for node in nodes if list(training_workers(raylet(node)))]
    assert len(hosting) == 2, "the workers of the trial are on two nodes"
    victim = next(node for node in hosting if node is not cluster.head_node)
    cluster.remove_node(victim, allow_graceful=False)
    cluster.add_node(**NODE)
    finish(process, tmp_path / "run")


def test_of_paused_trials_not_one_holds_a_slot(cluster: Any, tmp_path: Path) -> None:
    """They wait for a stage that another run is training; an autoscaler could take the nodes."""
    import ray  # noqa: PLC0415

    text = STUDY.replace("[mini_entail, mini_supertag], max_length: 2", "[mini_entail]")
    study = tmp_path / "tiny.yaml"
    study.write_text(text.replace("num_trials: 3", "num_trials: 4"), encoding="utf-8")
    run_dir = tmp_path / "run"
    settings = ("search.baselines=false", "search.confirm.top=0", "search.max_concurrent=2")
    loaded = load_study(str(study), settings)
    plan = prepare(loaded, None, tmp_path).planner.plan(
        0, Sequence.of("mini_entail"), "mini_pos", seed=0
    )
    stage = plan.stages[0].fingerprint
    store = tmp_path / "stages"
    another = StageStore(str(store), run="another").leases
    lease = another.acquire("stages", stage)
    assert isinstance(lease, Lease)
    options = [part for setting in settings for part in ("--set", setting)]
    process = subprocess.Popen(
        command(
            "launch", study, "--run-dir", run_dir, "--address", cluster.address, *options,
            "--set", f"storage.stages={store}",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    lines_until(process, f"Stage {stage[:12]} is held by run another")
    with ray.init(address=cluster.address, log_to_driver=False):
        total = ray.cluster_resources()["CPU"]
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
            assert process.poll() is None, process.communicate()
            is_waiting = len(load_run(run_dir).rungs) == 2
            # Ray Tune keeps one slot's processes, for the next trial.
            if is_waiting and ray.available_resources().get("CPU", 0) >= total - 1.001:
                break
    assert list(load_run(run_dir).trials["state"]).count("waiting") == 4
    another.release(lease)
    finish(process, run_dir)


@dataclass(frozen=True)
class Cable:
    """A network namespace, and the cable between it and this one.

    Attributes:
        namespace: Its name; commands behind ``prefix`` run in it.
        here: Name of this end, with the address ``near``.
        there: Name of the other, with the address ``far``.
    """

    namespace: str
    here: str
    there: str
    near: str
    far: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        """Pull the plug at the other end: what is sent from here gets no answer."""
        ip("-netns", self.namespace, "link", "set", self.there, "down")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def cable() -> Iterator[Cable]:
    if shutil.which("ip") is None:
        pytest.skip("needs the command `ip` of iproute2")
    name = uuid.uuid4().hex[:8]
    # A net of its own among the addresses for tests of networks (RFC 2544).
    net = f"198.18.{int(name[:2], 16)}."
    made = Cable(f"taskorder-{name}", f"to{name}a", f"to{name}b", f"{net}1", f"{net}2")
    with contextlib.ExitStack() as ends:
        try:
            ip("netns", "add", made.namespace)
            ends.callback(ip, "netns", "del", made.namespace)
            ip("link", "add", made.here, "type", "veth", "peer", "name", made.there)
            ends.callback(ip, "link", "del", made.here)
            ip("link", "set", made.there, "netns", made.namespace)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"may not make a network namespace: {error.stderr.strip()}")
        ip("addr", "add", f"{made.near}/30", "dev", made.here)
        ip("link", "set", made.here, "up")
        inside = ("-netns", made.namespace)
        ip(*inside, "addr", "add", f"{made.far}/30", "dev", made.there)
        ip(*inside, "link", "set", made.there, "up")
        ip(*inside, "link", "set", "lo", "up")
        yield made


def test_a_node_whose_network_is_cut_costs_nothing_but_the_work_in_flight(
    cable: Cable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes live on; nobody hears of them any more."""
    quick = {
        **ENVIRONMENT,
        # The cluster misses a silent node after some 10 seconds, for a minute and more.
        "RAY_health_check_initial_delay_ms": "2000",
        "RAY_health_check_period_ms": "2000",
        "RAY_health_check_timeout_ms": "3000",
        "RAY_health_check_failure_threshold": "3",
        # Which way the workers reach each other; a name would lead nowhere.
        "GLOO_SOCKET_IFNAME": cable.here,
    }
    for name, value in quick.items():
        monkeypatch.setenv(name, value)
    [port] = free_ports(1)
    # Room for one worker, and the trial's own process, which takes a sliver of a CPU.
    own: dict[str, object] = {"num-cpus": 2, "object-store-memory": 80 * 2**20}
    joins = {**own, "address": f"{cable.near}:{port}"}
    away = (*cable.prefix, "env", f"GLOO_SOCKET_IFNAME={cable.there}")
    with (
        tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder,
        node(
            {
                **own,
                "node-ip-address": cable.near,
                "port": port,
                "include-dashboard": "false",
                "temp-dir": folder,
            }
        ) as head,
        node({**joins, "node-ip-address": cable.far}, away) as victim,
    ):
        process = launch_on_two_nodes(tmp_path, f"{cable.near}:{port}", cpus_per_worker=1.5)
        lines_until(process, "[2/")
        [cut_off] = training_workers(victim)
        assert list(training_workers(head)), "the workers of the trial are on two nodes"
        cable.cut()
        with node({**joins, "node-ip-address": cable.near}):
            os.kill(cut_off, 0)  # it lives
            finish(process, tmp_path / "run")
