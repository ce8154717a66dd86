"""Ray's cluster: starting or joining it, how many trials fit, and which of its nodes are lost."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import socket
import warnings
from collections.abc import Mapping
from typing import Any

from spaces.errors import InputError
from spaces.study import Study

#: What a trial's trainable takes beside its workers: Ray refuses nothing at all.
TRAINABLE_CPUS = 0.001
#: Packages that the workers import.
SENT = ("spaces", "trainables")
#: Seconds that a node has to answer.
PROBE_S = 3.0


def start_ray(address: str | None) -> None:
    """Start Ray on this machine, or join the cluster at ``address``."""
    # Tune's own start-up messages speak of settings that are ours to make, not the user's.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # On a busy machine, which other runs of one user make of it, Ray's own 30 seconds are too few.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    # A process for each core, started ahead, would be used by nobody: our actors get their own.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    if address is None:
        # No node but this one: Ray's servers listen on loopback, as they do on other systems.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray  # noqa: PLC0415  (so that input errors are told before Ray is loaded)

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    if address is not None:
        # The workers run this very code, whatever is installed on their nodes.
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"py_modules": [folder_of(package) for package in SENT]},
        )
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            # Of our own, even where a cluster runs on this machine.
            address="local",
            # One CPU above the machine's own: each trial's trainable takes a sliver of one.
            num_cpus=len(os.sched_getaffinity(0)) + 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 1024 * 1024,
        )


def folder_of(package: str) -> str:
    """Return the folder of a package, without importing it."""
    found = importlib.util.find_spec(package)
    assert found is not None, f"{package} is one of ours"
    assert found.submodule_search_locations, f"{package} is a folder"
    return found.submodule_search_locations[0]


def stop_ray() -> None:
    """Leave the cluster; one that ``start_ray`` started is stopped."""
    import ray  # noqa: PLC0415

    ray.shutdown()


def max_concurrent(study: Study, address: str | None) -> int:
    """Return how many trials fit, or the study's own limit if that is lower.

    Args:
        study: The study.
        address: Of the cluster that was joined, where the study's own limit is not questioned;
            ``None`` for this machine's own.

    Raises:
        InputError: Not one fits the cluster.
    """
    import ray  # noqa: PLC0415

    limit = study.search.max_concurrent
    if address is not None and limit != "auto":
        return limit  # The cluster may grow: Ray asks it for nodes.
    resources = study.resources
    cluster: dict[str, float] = ray.cluster_resources()
    cpus = cluster.get("CPU", 0)
    cpus_per_trial = resources.workers_per_trial * resources.cpus_per_worker
    if address is None:
        cpus -= 1  # the one that ``start_ray`` counts above the machine's own
    else:
        cpus_per_trial += TRAINABLE_CPUS
    fits = [math.floor(cpus / cpus_per_trial)]
    if resources.gpus_per_worker:
        gpus = cluster.get("GPU", 0)
        fits.append(math.floor(gpus / (resources.workers_per_trial * resources.gpus_per_worker)))
    if min(fits) < 1:
        raise InputError(
            f"resources: no trial fits the cluster, which has {cluster.get('CPU', 0):g} CPUs and "
            f"{cluster.get('GPU', 0):g} GPUs; a trial needs {resources.workers_per_trial} workers "
            f"of {resources.cpus_per_worker:g} CPUs and {resources.gpus_per_worker:g} GPUs."
        )
    most = min(fits)
    return most if limit == "auto" else min(limit, most)


def node_labels() -> dict[str, str]:
    """Return what the cluster knows this process by."""
    import ray  # noqa: PLC0415

    return {"ray_node": ray.get_runtime_context().get_node_id()}


def is_node_alive(labels: Mapping[str, str]) -> bool | None:
    """Say whether the process that these labels name can live: ``False`` if its node is lost.

    Returns:
        ``None`` where the cluster cannot tell: another cluster's node, or one that is there.
    """
    import ray  # noqa: PLC0415

    known = {node["NodeID"]: node["Alive"] for node in ray.nodes()}
    return False if known.get(labels.get("ray_node", "")) is False else None


def lost_nodes(*, probe: bool) -> set[str]:
    """Return the identities of the nodes that the cluster has lost.

    Args:
        probe: Whether to call at every node, too: the cluster misses one that has vanished
            only after some time.
    """
    import ray  # noqa: PLC0415

    nodes = ray.nodes()
    lost = {node["NodeID"] for node in nodes if not node["Alive"]}
    if probe:
        lost |= {node["NodeID"] for node in nodes if node["Alive"] and not _answers(node)}
    return lost


def _answers(node: Mapping[str, Any]) -> bool:
    """Whether a node's raylet takes connections."""
    where = node["NodeManagerAddress"], node["NodeManagerPort"]
    try:
        with socket.create_connection(where, timeout=PROBE_S):
            return True
    except OSError:
        return False
