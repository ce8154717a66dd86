"""The Ray side of training: W worker processes, each with a ``Session``."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import ray

from spaces.plan import StagePlan, TrialPlan
from trainables.progress_board import reporting
from trainables.session_config import SessionConfig


class TrainingWorker:
    """One DeepSpeed worker of a trial, made a Ray actor; lives as long as the trial's slot.

    Torch is imported in its own process alone: the trainable's never needs it.

    Args:
        session: ``SessionConfig.to_json``'s data.
        rank: Number of the worker.
        world_size: Number of workers.
    """

    def __init__(self, session: dict[str, Any], rank: int, world_size: int) -> None:
        # One thread a core: the CPUs that Ray counted for this worker are all it may use.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        if not ray.get_runtime_context().get_accelerator_ids().get("GPU"):
            # Ray may leave a worker without GPUs the sight of them all; it must not take one.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._session_config = session
        self._rank = rank
        self._world_size = world_size
        self._session: Any = None

    def rendezvous(self) -> tuple[str, int]:
        """Return this worker's address and a free port on it."""
        from trainables.engine import free_port  # noqa: PLC0415  (torch, in this process alone)

        return ray.util.get_node_ip_address(), free_port()

    def connect(self, address: str, port: int) -> int:
        """Join the trial's process group and build the session; return the process's id."""
        import torch  # noqa: PLC0415  (in this process alone)

        from trainables.engine import init_process  # noqa: PLC0415
        from trainables.session import Session  # noqa: PLC0415

        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
        torch.set_num_threads(max(1, int(cpus)))
        init_process(self._rank, self._world_size, address, port)
        self._session = Session(
            SessionConfig.from_json(self._session_config), self._rank, self._world_size
        )
        return os.getpid()

    def train_stage(self, plan: dict[str, Any], base: str) -> dict[str, Any]:
        """Train one stage; see ``Session.train_stage``."""
        with reporting(self._rank) as report:
            return asdict(self._session.train_stage(StagePlan.from_json(plan), base, report))

    def run_rung(self, plan: dict[str, Any], rung: int) -> dict[str, Any]:
        """Fine-tune and evaluate up to one rung; see ``Session.run_rung``."""
        with reporting(self._rank) as report:
            return asdict(self._session.run_rung(TrialPlan.from_json(plan), rung, report))

    def take_set_aside(self) -> list[dict[str, Any]]:
        """Return what this worker found damaged in the store since this was last called."""
        if self._session is None:
            return []
        return [entry.to_json() for entry in self._session.store.take_report().quarantined]
