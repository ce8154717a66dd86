"""One training process: stages and target budgets on a DeepSpeed engine. No Ray in it.

A ``Session`` is what each of a trial's workers owns; W of them, one a process, train together.
Everything it does is asked for by a plan and found by fingerprint, so it holds nothing that
matters: kill it anywhere, and another continues from the store.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from spaces.errors import TrainingError
from spaces.plan import StagePlan, TrialPlan
from spaces.reports import StageReport, StepProgress
from spaces.stages import Mixture
from trainables.engine import Engine
from trainables.evaluation import Score, evaluate, objective
from trainables.inputs import TaskInputs
from trainables.lost_workers import telling_of_lost_workers
from trainables.meter import Report
from trainables.models import load_tokenizer
from trainables.progress import (
    checkpoint_keys,
    drop_checkpoints,
    latest_checkpoint,
    progress_key,
)
from trainables.session_config import SessionConfig
from trainables.storage.entries import number
from trainables.store import Kind, StageStore
from trainables.trainer import Trainer, Training


@dataclass(frozen=True, slots=True)
class RungResult:
    """What a target came to at one of its budgets.

    Attributes:
        rung: Index of the budget.
        budget_steps: The budget.
        score: The objective, 0 to 100; NaN if training diverged.
        scores: Every evaluation set's scores.
        steps_trained: Steps trained to get here.
        wall_s: Seconds of training and evaluation.
        error: What happened if training diverged; else empty.
    """

    rung: int
    budget_steps: int
    score: float
    scores: tuple[Score, ...]
    steps_trained: int
    wall_s: float
    error: str = ""


class Timer:
    """Seconds of training, those of attempts that were cut short included.

    Args:
        earlier_s: Seconds before this attempt.
    """

    def __init__(self, earlier_s: float = 0.0) -> None:
        self._started = time.monotonic() - earlier_s

    def seconds(self) -> float:
        """Return the seconds so far."""
        return time.monotonic() - self._started


class Session:
    """One worker's training process.

    Args:
        config: The study's configuration.
        rank: This worker's number.
        world_size: Number of workers that train together.
    """

    def __init__(self, config: SessionConfig, rank: int = 0, world_size: int = 1) -> None:
        self.config = config
        self.rank = rank
        self.world_size = world_size
        self.store = StageStore(config.store_url)
        self.inputs = TaskInputs(
            config.study.catalogue(),
            config.study.training,
            Path(config.data_root) if config.data_root else None,
            load_tokenizer(config.model_path, config.study.model.revision),
            Path(config.cache_dir) if config.cache_dir else None,
        )
        self._trainer = Trainer(config, self.inputs, self.store, rank, world_size)
        self._engine_is_at: tuple[str, int] | None = None

    def train_stage(
        self, plan: StagePlan, base: str, progress: Report | None = None
    ) -> StageReport:
        """Train a stage from its parent and put it into the store.

        Args:
            plan: The stage.
            base: Identity of the base model, the parent of a first stage.
            progress: Told how far training is, at most once a second; worker 0's alone.

        Raises:
            TrainingError: The loss diverged; every worker raises it.
            StoreError: The parent is missing or damaged.
            WorkerLostError: The other workers did not answer in time.
            OutOfMemoryError: This worker ran out of memory beside others; trying again helps.
        """
        training = Training(plan.sequence, plan.mixture, plan.settings, plan.parent, base)
        with self._closing_on_error():
            engine = self._trainer.build(training)
            steps = plan.settings.steps
            timer = self._resume(engine, plan.fingerprint, steps)
            try:
                engine = self._train(
                    training, plan.fingerprint, timer, until=steps, report=progress
                )
            except TrainingError:
                # What goes on from there diverges again.
                self._drop_checkpoints(plan.fingerprint, steps)
                raise
            weights = engine.encoder_weights()
        self.close_engine()
        wall_s = timer.seconds()
        notes = {
            "parent": plan.parent,
            "sequence": plan.sequence,
            "steps": plan.settings.steps,
            "wall_s": wall_s,
            "run": self.config.run_id,
        }
        size_bytes = self._put("stages", plan.fingerprint, weights, notes)
        self._drop_checkpoints(plan.fingerprint, steps)
        return StageReport(
            plan.fingerprint,
            plan.parent,
            plan.sequence,
            plan.settings.steps,
            wall_s,
            size_bytes,
            reused=False,
        )

    def run_rung(self, plan: TrialPlan, rung: int, progress: Report | None = None) -> RungResult:
        """Fine-tune the target up to a rung's budget and evaluate it.

        The fine-tuning continues from the rung before, from this process's own engine if it still
        holds it, else from the store. If it diverges, the score is NaN and ``error`` says so: the
        target's result is bad, nothing is broken.

        Args:
            plan: The trial.
            rung: Index of the budget.
            progress: Told how far training is, at most once a second; worker 0's alone.

        Raises:
            StoreError: The parent is missing or damaged.
            WorkerLostError: The other workers did not answer in time.
            OutOfMemoryError: This worker ran out of memory beside others; trying again helps.
        """
        budget = plan.budgets[rung]
        before = plan.budgets[rung - 1] if rung else 0
        is_last = rung == len(plan.budgets) - 1
        scores: list[Score] = []
        error = ""
        with self._closing_on_error():
            training = Training(
                plan.target, Mixture.of(plan.target), plan.target_settings, plan.parent, plan.base
            )
            engine, timer = self._continue(plan, training, before, budget)
            # What an attempt that was cut short has trained is part of it.
            first_step = min(engine.step_count, before)
            try:
                engine = self._train(
                    training, plan.target_fingerprint, timer, until=budget, report=progress
                )
            except TrainingError as diverged:
                error = str(diverged)
            else:
                scores = self._score(engine, plan, budget, is_last=is_last)
            steps_trained = engine.step_count - first_step
        self._drop_checkpoints(plan.target_fingerprint, budget)
        if is_last or error:
            self.close_engine()
        metric = self.inputs.catalogue[plan.target].metric
        return RungResult(
            rung=rung,
            budget_steps=budget,
            score=objective(scores, metric),
            scores=tuple(scores),
            steps_trained=steps_trained,
            wall_s=timer.seconds(),
            error=error,
        )

    def _put(
        self, kind: Kind, key: str, tensors: dict[str, torch.Tensor], notes: dict[str, Any]
    ) -> int:
        """Put an entry into the store, written by the first worker; return its size in bytes.

        No worker goes on before the entry is there: the next thing it does may be to read it.
        """
        size_bytes = 0
        if self.rank == 0:
            size_bytes = self.store.put(kind, key, tensors, notes).size_bytes
        if self.world_size > 1:
            dist.barrier()
        return size_bytes

    def _score(self, engine: Engine, plan: TrialPlan, budget: int, *, is_last: bool) -> list[Score]:
        """Keep a fine-tuning that may go on, and evaluate it."""
        if not is_last:
            notes = {"sequence": plan.sequence, "target": plan.target, "steps": budget}
            self._put("progress", progress_key(plan, budget), engine.state(), notes)
            self._engine_is_at = (plan.target_fingerprint, budget)
        sets = self.config.evaluation[plan.target]
        folder = None
        if is_last and self.config.predictions_dir is not None:
            folder = Path(self.config.predictions_dir) / str(plan.trial_id)
        return evaluate(
            engine,
            self.inputs,
            plan.target,
            sets if is_last else sets.selection,
            batch_size=self.config.study.training.eval_batch_size,
            rank=self.rank,
            world_size=self.world_size,
            predictions_dir=folder,
        )

    @contextlib.contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        """Let no half-trained engine outlive the error that stopped it."""
        try:
            with telling_of_lost_workers(self.rank, self.world_size):
                yield
        except BaseException:
            self.close_engine()
            raise

    def close_engine(self) -> None:
        """Give the engine's memory back."""
        self._trainer.close()
        self._engine_is_at = None

    def _continue(
        self, plan: TrialPlan, training: Training, before: int, budget: int
    ) -> tuple[Engine, Timer]:
        """Return an engine that has fine-tuned the target for ``before`` steps, or for more."""
        held = self._trainer.engine
        if held is not None and self._engine_is_at == (plan.target_fingerprint, before):
            self._engine_is_at = None  # until it has arrived at the next budget
            return held, Timer()
        self._engine_is_at = None
        engine = self._trainer.build(training)
        timer = self._resume(engine, plan.target_fingerprint, budget)
        if engine.step_count < before:
            entry = self.store.get("progress", progress_key(plan, before))
            if entry is not None:
                engine.load_state(self.store.load(entry))
            # Without the state of the rung before, the steps are simply trained again.
        return engine, timer

    def _resume(self, engine: Engine, fingerprint: str, until: int) -> Timer:
        """Let an engine go on where a training that was cut short had been stored last."""
        if not self._has_checkpoints(until):
            return Timer()
        entry = latest_checkpoint(self.store, fingerprint, until)
        if entry is None:
            return Timer()
        engine.load_state(self.store.load(entry))
        return Timer(number(entry.metadata.get("wall_s")))

    def _train(
        self,
        training: Training,
        fingerprint: str,
        timer: Timer,
        *,
        until: int,
        report: Report | None,
    ) -> Engine:
        """Train up to step ``until`` and store where training is now and then."""
        engine = self._trainer.engine
        assert engine is not None
        every = self.config.study.storage.checkpoint_every_steps or until

        def tell(progress: StepProgress) -> None:
            assert report is not None
            left_s = progress.left_s * (until - progress.step) / max(1, stop - progress.step)
            report(replace(progress, steps=until, left_s=left_s))

        while True:
            stop = min(until, (engine.step_count // every + 1) * every)
            engine = self._trainer.train(
                training, until=stop, report=None if report is None else tell
            )
            if stop >= until:
                return engine
            key = checkpoint_keys(fingerprint)[stop // every % 2]
            if self.rank == 0:
                self.store.drop("progress", key)
            notes = {"sequence": training.name, "steps": stop, "wall_s": timer.seconds()}
            self._put("progress", key, engine.state(), notes)

    def _has_checkpoints(self, steps: int) -> bool:
        """Whether a training of so many steps is stored on the way."""
        every = self.config.study.storage.checkpoint_every_steps
        return every is not None and steps > every

    def _drop_checkpoints(self, fingerprint: str, steps: int) -> None:
        if self.rank == 0 and self._has_checkpoints(steps):
            drop_checkpoints(self.store, fingerprint)
