"""Tells that a worker waits for another one that is gone or hangs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

#: What torch's process groups say when a worker is gone (gloo, NCCL).
LOST_WORKER_SIGNS = (
    "Timed out waiting",
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "NCCL communicator was aborted",
    "ncclRemoteError",
    "Watchdog caught collective operation timeout",
)


def share_timeout(device: torch.device) -> None:
    """Give every process group the time-out of the first; DeepSpeed's own have torch's default.

    Args:
        device: Where this worker trains.
    """
    groups = list(distributed_c10d._world.pg_map)
    # Torch has no public way to read a group's time-out or to set it later.
    timeout = dist.group.WORLD._get_backend(device).options._timeout  # type: ignore[union-attr]
    for group in groups:
        if dist.get_rank(group) >= 0:
            distributed_c10d._set_pg_timeout(timeout, group)


class WorkerLostError(RuntimeError):
    """Another worker of the trial is gone or hangs. Trying again on new workers may go well."""


@contextlib.contextmanager
def telling_of_lost_workers(rank: int, world_size: int) -> Iterator[None]:
    """Turn what the process group raises when another worker is gone or hangs into a clear error.

    Args:
        rank: This worker's number.
        world_size: Number of workers.

    Raises:
        WorkerLostError: Within the context this worker waited for another one in vain.
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        if world_size == 1 or not any(sign in str(error) for sign in LOST_WORKER_SIGNS):
            raise
        raise WorkerLostError(
            f"worker {rank} of {world_size} waited for the others in vain: one of them has died, "
            f"or has not answered in time ({reason}). Look at the other workers' logs; the trial "
            "is tried again on new workers."
        ) from error
