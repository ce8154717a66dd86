"""The Ray side of training: W worker processes, each with a ``Session``."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any

import ray

from spaces.model_axis import naming_model
from spaces.plan import StagePlan, TrialPlan
from trainables.meeting import meeting_port
from trainables.mini import MODEL_DIR
from trainables.preparation import MINI
from trainables.progress_board import reporting
from trainables.session_config import SessionConfig
from trainables.watchdog import watch_this_process

#: Seconds a worker has beyond the process group's time-out before it is ended for hanging.
GRACE_S = 300.0


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
        self._model = ""

    def meeting_port(self) -> str:
        """Return where workers of several nodes can meet: at a free port of this one's."""
        return meeting_port(ray.util.get_node_ip_address())

    def connect(self, meeting: str = "", model: str = "") -> int:
        """Join the trial's process group and build the session; return the process's id.

        Args:
            meeting: Where its workers meet, as ``trainables.meeting`` has it.
            model: Label of the model in the study, as ``use`` takes it.
        """
        import torch  # noqa: PLC0415  (in this process alone)

        from trainables.engine import TIMEOUT_S, init_process  # noqa: PLC0415

        # Later than the process group's, which knows who waits for whom.
        watch_this_process(TIMEOUT_S + GRACE_S)
        cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
        torch.set_num_threads(max(1, int(cpus)))
        init_process(self._rank, self._world_size, meeting)
        self.use(model)
        return os.getpid()

    def use(self, model: str) -> None:
        """Build the session of a model, unless it is the one at work.

        Args:
            model: Its label in the study; the first model if there is none of that label.

        Raises:
            InputError: The model cannot be loaded.
        """
        from trainables.session import Session  # noqa: PLC0415  (torch, in this process alone)

        if self._session is not None:
            if self._model == model:
                return
            self._session.close_engine()
            self._session = None
        config = SessionConfig.from_json(self._session_config).of_model(model)
        if config.study.model.name == MINI:
            # The built-in model lies in the package, which may be elsewhere on the driver's node.
            config = replace(config, model_path=str(MODEL_DIR))
        with naming_model(model or config.study.model.name, config.study):
            self._session = Session(config, self._rank, self._world_size)
        self._model = model

    def train_stage(self, plan: dict[str, Any], base: str) -> dict[str, Any]:
        """Train one stage; see ``Session.train_stage``."""
        with self._naming_model(), reporting(self._rank) as report:
            return asdict(self._session.train_stage(StagePlan.from_json(plan), base, report))

    def run_rung(self, plan: dict[str, Any], rung: int) -> dict[str, Any]:
        """Fine-tune and evaluate up to one rung; see ``Session.run_rung``."""
        with self._naming_model(), reporting(self._rank) as report:
            return asdict(self._session.run_rung(TrialPlan.from_json(plan), rung, report))

    def _naming_model(self) -> AbstractContextManager[None]:
        """Let what is wrong with the model at work name the study file's key."""
        own = self._session.config.study
        return naming_model(self._model or own.model.name, own)

    def take_set_aside(self) -> list[dict[str, Any]]:
        """Return what this worker found damaged in the store since this was last called."""
        if self._session is None:
            return []
        return [entry.to_json() for entry in self._session.store.take_report().quarantined]
