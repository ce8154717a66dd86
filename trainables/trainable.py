"""The Ray trainable: one trial, unit by unit, on workers that outlive it.

A ``step`` is one unit of work: a stage of the sequence, or one rung of the target. The workers sit
in the trial's own placement group and are kept when Ray gives the actor to another trial, so a
trial costs no process start.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray import tune

from spaces.errors import StoreError, TaskorderError
from spaces.plan import TrialPlan
from trainables.lineage import found_stage, num_lost
from trainables.meeting import is_loopback, meeting_file
from trainables.storage.errors import EntryLostError
from trainables.store import StageStore
from trainables.worker import TrainingWorker

#: How long the workers have to come to an end by themselves once one of them has failed.
GRACE_S = 20.0


class SequenceTrainable(tune.Trainable):
    """Trains a sequence's stages, then fine-tunes and evaluates the target.

    The configuration has ``plan`` (``TrialPlan.to_json``), ``stages_done`` and ``rungs_done`` (of
    an interrupted run). Each ``step`` returns an ``event``:

    - ``stage``: a stage, trained or found in the store;
    - ``rebuilt``: a stage that the trial had, trained again because the store has lost it;
    - ``rung``: a rung of the target; if its score is NaN, the reason is in ``error``;
    - ``lost``: the store has lost something that is made again when the trial goes on;
    - ``halt``: the store is full, out of reach or closed to this user, so no trial can go on;
    - ``failed``: the trial has failed for good.

    Each comes with ``set_aside``, what was found damaged in the store on the way.
    """

    _stages_done: int
    _rungs_done: int

    def setup(
        self,
        config: dict[str, Any],
        session: dict[str, Any] | None = None,
        resources: dict[str, Any] | None = None,
    ) -> None:
        """Take the first trial.

        Args:
            config: The trial.
            session: ``SessionConfig.to_json``'s data.
            resources: ``workers_per_trial``, ``cpus_per_worker`` and ``gpus_per_worker``.
        """
        if session is None or resources is None:
            raise ValueError("the trainable needs a session and its resources")
        self._session = session
        self._resources = resources
        self._store = StageStore(session["store_url"])
        self._workers: list[Any] = []
        self._folder: TemporaryDirectory[str] | None = None
        #: What the workers' sessions are built for; ``None`` where that failed.
        self._model: str | None = None
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial on the same workers."""
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Do the next unit of work."""
        try:
            return self._next_unit()
        except ray.exceptions.RayTaskError as error:
            # First, for Ray's error is of its cause's type, too, and tells a traceback.
            cause = error.cause
            if isinstance(cause, StoreError):
                return self._store_failed(cause)
            if isinstance(cause, TaskorderError):
                # Trying again would fail again, so Ray need not know.
                return self._event("failed", {"error": f"{type(cause).__name__}: {cause}"})
            raise
        except StoreError as error:
            return self._store_failed(error)

    def _store_failed(self, error: StoreError) -> dict[str, Any]:
        """Say what the store has lost, which is made again, or that it needs a person."""
        kind = "lost" if isinstance(error, EntryLostError) else "halt"
        return self._event(kind, {"error": f"{type(error).__name__}: {error}"})

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Return the position in the plan: everything else is in the store, by fingerprint."""
        return {"stages_done": self._stages_done, "rungs_done": self._rungs_done}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Continue at a position in the plan."""
        if checkpoint:
            # The configuration may be the later of the two: it follows every report.
            stages_done, rungs_done = self._stages_done, self._rungs_done
            self._stages_done = max(stages_done, checkpoint["stages_done"])
            self._rungs_done = max(rungs_done, checkpoint["rungs_done"])

    def cleanup(self) -> None:
        """End the workers."""
        self._stop_workers()

    def _stop_workers(self) -> None:
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _take(self, config: dict[str, Any]) -> None:
        self._plan_json = config["plan"]
        self._plan = TrialPlan.from_json(config["plan"])
        self._stages_done = config["stages_done"]
        self._rungs_done = config["rungs_done"]

    def _next_unit(self) -> dict[str, Any]:
        done = self._stages_done
        lost = num_lost(self._store, self._plan, done)
        if lost:
            return self._event("rebuilt", self._have(done - lost))
        if done < len(self._plan.stages):
            report = self._have(done)
            self._stages_done += 1
            return self._event("stage", report)
        report = self._all("run_rung", self._plan_json, self._rungs_done)
        self._rungs_done += 1
        shown = {name: report[name] for name in ("score", "rung", "budget_steps")}
        return {**self._event("rung", report), **shown}

    def _have(self, index: int) -> dict[str, Any]:
        """Find a stage in the store, or train it; return its report."""
        stage = self._plan.stages[index]
        with self._store.lock(stage.fingerprint):
            found = found_stage(self._store, self._plan, index)
            if found is not None:
                return found.to_json()
            report: dict[str, Any] = self._all("train_stage", asdict(stage), self._plan.base)
            return report

    def _event(self, kind: str, content: dict[str, Any]) -> dict[str, str]:
        """Return an event as one JSON string: Ray would flatten a nested result."""
        reports = [self._store.take_report().to_json()["quarantined"]]
        if kind in ("lost", "halt", "failed") and self._workers:
            # Workers that are gone cannot say what they saw; the quarantine's own files can.
            with contextlib.suppress(ray.exceptions.RayError):
                calls = [worker.take_set_aside.remote() for worker in self._workers]
                reports += ray.get(calls, timeout=GRACE_S)
        set_aside = [entry for report in reports for entry in report]
        return {"event": json.dumps({"kind": kind, "set_aside": set_aside, **content})}

    def _all(self, method: str, *arguments: Any) -> Any:
        """Call a method on all workers together; return worker 0's answer."""
        if not self._workers:
            self._start_workers()
        if self._model != self._plan.model:
            # The slot was another model's before.
            self._model = None
            self._together("use", self._plan.model)
            self._model = self._plan.model
        return self._together(method, *arguments)

    def _together(self, method: str, *arguments: Any) -> Any:
        calls = [getattr(worker, method).remote(*arguments) for worker in self._workers]
        try:
            return ray.get(calls)[0]
        except ray.exceptions.RayError:
            # A worker that failed alone leaves the others waiting for it, for ever: they are ended
            # and started anew by the next unit. If all came to an end, they can go on together.
            ended, waiting = ray.wait(calls, num_returns=len(calls), timeout=GRACE_S)
            if waiting or any(_is_lost(call) for call in ended):
                self._stop_workers()
            raise

    def _start_workers(self) -> None:
        world_size = self._resources["workers_per_trial"]
        remote: Any = ray.remote(
            num_cpus=self._resources["cpus_per_worker"],
            num_gpus=self._resources["gpus_per_worker"],
            max_restarts=0,
        )(TrainingWorker)
        self._workers = [
            remote.remote(self._session, rank, world_size) for rank in range(world_size)
        ]
        self._model = None
        meeting, model = self._meeting(world_size), self._plan.model
        ray.get([worker.connect.remote(meeting, model) for worker in self._workers])
        self._model = model

    def _meeting(self, world_size: int) -> str:
        """Return where so many workers meet; one meets nobody."""
        if world_size == 1:
            return ""
        if is_loopback(ray.util.get_node_ip_address()):
            # A cluster of this node alone. Every set of workers has a place of its own.
            self._folder = TemporaryDirectory(prefix="taskorder-", ignore_cleanup_errors=True)
            return meeting_file(Path(self._folder.name))
        port: str = ray.get(self._workers[0].meeting_port.remote())
        return port


def _is_lost(call: Any) -> bool:
    """Whether a finished call's worker is gone, rather than failed with an error of its own."""
    try:
        ray.get(call)
    except ray.exceptions.RayTaskError:
        return False
    except ray.exceptions.RayError:
        return True
    return False


def placement(resources: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Return a trial's placement group: a sliver for the trainable, a bundle for each worker."""
    worker = {"CPU": resources["cpus_per_worker"]}
    if resources["gpus_per_worker"]:
        worker["GPU"] = resources["gpus_per_worker"]
    return tune.PlacementGroupFactory(
        [{"CPU": 0.001}, *[dict(worker) for _ in range(resources["workers_per_trial"])]]
    )
