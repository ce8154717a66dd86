"""Ray's cluster: starting or joining it, how many trials fit, and which of its nodes are lost."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Mapping

from spaces.errors import InputError
from spaces.study import Study


def start_ray(address: str | None) -> None:
    """Start Ray on this machine, or join the cluster at ``address``."""
    # Tune's own start-up messages speak of settings that are ours to make, not the user's.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    import ray  # noqa: PLC0415  (so that input errors are told before Ray is loaded)

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(
            # One CPU above the machine's own: each trial's trainable takes a sliver of one.
            num_cpus=len(os.sched_getaffinity(0)) + 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 1024 * 1024,
        )


def stop_ray() -> None:
    """Leave the cluster; one that ``start_ray`` started is stopped."""
    import ray  # noqa: PLC0415

    ray.shutdown()


def max_concurrent(study: Study) -> int:
    """Return how many trials fit, or the study's own limit if that is lower.

    Raises:
        InputError: Not one fits the cluster.
    """
    import ray  # noqa: PLC0415

    resources = study.resources
    cluster: dict[str, float] = ray.cluster_resources()
    one_local = len(ray.nodes()) == 1
    cpus = cluster.get("CPU", 0) - (1 if one_local else 0.001)
    fits = [math.floor(cpus / (resources.workers_per_trial * resources.cpus_per_worker))]
    if resources.gpus_per_worker:
        gpus = cluster.get("GPU", 0)
        fits.append(math.floor(gpus / (resources.workers_per_trial * resources.gpus_per_worker)))
    if min(fits) < 1:
        raise InputError(
            f"resources: no trial fits the cluster, which has {cluster.get('CPU', 0):g} CPUs and "
            f"{cluster.get('GPU', 0):g} GPUs; a trial needs {resources.workers_per_trial} workers "
            f"of {resources.cpus_per_worker:g} CPUs and {resources.gpus_per_worker:g} GPUs."
        )
    limit = study.search.max_concurrent
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
