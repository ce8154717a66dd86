"""The Ray side of training: W worker processes, each with a ``Session``."""

from __future__ import annotations

import os
from typing import Any

import ray


@ray.remote(max_restarts=0)
class TrainingWorker:
    """One DeepSpeed worker of a trial; lives as long as the trial's slot.

    Args:
        session: ``SessionConfig.to_json``'s data.
        rank: Number of the worker.
        world_size: Number of workers.
    """

    def __init__(self, session: dict[str, Any], rank: int, world_size: int) -> None:
        # One thread a core: the CPUs that Ray counted for this worker are all it may use.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._session_config = session
        self._rank = rank
        self._world_size = world_size
        self._session: Any = None

    def rendezvous(self) -> tuple[str, int]:
        """Return this worker's address and a free port on it."""
        from trainables.engine import free_port

        return ray.util.get_node_ip_address(), free_port()

    def connect(self, address: str, port: int) -> None:
        """Join the trial's process group and build the session."""
        import torch

        from trainables.engine import init_process
        from trainables.session import Session, SessionConfig

        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
        torch.set_num_threads(max(1, int(cpus)))
        init_process(self._rank, self._world_size, address, port)
        self._session = Session(
            SessionConfig.from_json(self._session_config), self._rank, self._world_size
        )

    def train_stage(self, plan: dict[str, Any], base: str) -> dict[str, Any]:
        """Train one stage; see ``Session.train_stage``."""
        from dataclasses import asdict

        from spaces.plan import StagePlan

        return asdict(self._session.train_stage(StagePlan.from_json(plan), base))

    def run_rung(self, plan: dict[str, Any], rung: int) -> dict[str, Any]:
        """Fine-tune and evaluate up to one rung; see ``Session.run_rung``."""
        from dataclasses import asdict

        from spaces.plan import TrialPlan

        return asdict(self._session.run_rung(TrialPlan.from_json(plan), rung))
