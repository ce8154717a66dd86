"""One training process: stages and target budgets on a DeepSpeed engine. No Ray in it.

A ``Session`` is what each of a trial's workers owns; W of them, one a process, train together.
Everything it does is asked for by a plan and found by fingerprint, so it holds nothing that
matters: kill it anywhere, and another continues from the store.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from spaces.errors import StoreError, TrainingError
from spaces.plan import StagePlan, TrainSettings, TrialPlan
from spaces.reports import StageReport
from spaces.stages import Mixture
from trainables import engine as engines
from trainables.batches import derived_seed, global_batch, micro_batches, mixture_schedule
from trainables.evaluation import Score, evaluate, objective
from trainables.inputs import TaskInputs
from trainables.models import build_model, load_tokenizer
from trainables.progress import progress_key
from trainables.session_config import SessionConfig
from trainables.store import Kind, StageStore


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
        self._engine: engines.Engine | None = None
        self._engine_is_at: tuple[str, int] | None = None

    def train_stage(self, plan: StagePlan, base: str) -> StageReport:
        """Train a stage from its parent and put it into the store.

        Args:
            plan: The stage.
            base: Identity of the base model, the parent of a first stage.

        Raises:
            TrainingError: The loss diverged; every worker raises it.
            StoreError: The parent is missing or damaged.
        """
        started = time.monotonic()
        with self._closing_on_error():
            engine = self._build(plan.mixture, plan.settings, plan.parent, base)
            self._train(engine, plan.mixture, plan.settings, until=plan.settings.steps)
            weights = engine.encoder_weights()
        self.close_engine()
        wall_s = time.monotonic() - started
        notes = {
            "parent": plan.parent,
            "sequence": plan.sequence,
            "steps": plan.settings.steps,
            "wall_s": wall_s,
            "run": self.config.run_id,
        }
        size_bytes = self._put("stages", plan.fingerprint, weights, notes)
        return StageReport(
            plan.fingerprint,
            plan.parent,
            plan.sequence,
            plan.settings.steps,
            wall_s,
            size_bytes,
            reused=False,
        )

    def run_rung(self, plan: TrialPlan, rung: int) -> RungResult:
        """Fine-tune the target up to a rung's budget and evaluate it.

        The fine-tuning continues from the rung before, from this process's own engine if it still
        holds it, else from the store. If it diverges, the score is NaN and ``error`` says so: the
        target's result is bad, nothing is broken.

        Raises:
            StoreError: The parent is missing or damaged.
        """
        started = time.monotonic()
        budget = plan.budgets[rung]
        is_last = rung == len(plan.budgets) - 1
        scores: list[Score] = []
        error = ""
        with self._closing_on_error():
            engine = self._continue(plan, plan.budgets[rung - 1] if rung else 0)
            first_step = engine.step_count
            try:
                mixture = Mixture.of(plan.target)
                self._train(engine, mixture, plan.target_settings, until=budget)
            except TrainingError as diverged:
                error = str(diverged)
            else:
                scores = self._score(engine, plan, budget, is_last=is_last)
            steps_trained = engine.step_count - first_step
        if is_last or error:
            self.close_engine()
        metric = self.inputs.catalogue[plan.target].metric
        return RungResult(
            rung=rung,
            budget_steps=budget,
            score=objective(scores, metric),
            scores=tuple(scores),
            steps_trained=steps_trained,
            wall_s=time.monotonic() - started,
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

    def _score(
        self, engine: engines.Engine, plan: TrialPlan, budget: int, *, is_last: bool
    ) -> list[Score]:
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
            yield
        except BaseException:
            self.close_engine()
            raise

    def close_engine(self) -> None:
        """Give the engine's memory back."""
        if self._engine is not None:
            self._engine.destroy()
            # What is left lives as long as the process, records and features above all. Without
            # this, each engine's collection would look through all of them again, half a second.
            gc.freeze()
        self._engine, self._engine_is_at = None, None

    def _continue(self, plan: TrialPlan, before: int) -> engines.Engine:
        """Return an engine that has fine-tuned the target for ``before`` steps."""
        if self._engine is not None and self._engine_is_at == (plan.target_fingerprint, before):
            self._engine_is_at = None  # until it has arrived at the next budget
            return self._engine
        settings = plan.target_settings
        engine = self._build(Mixture.of(plan.target), settings, plan.parent, plan.base)
        if before:
            entry = self.store.get("progress", progress_key(plan, before))
            if entry is not None:
                engine.load_state(self.store.load(entry))
            # Without the state of the rung before, the steps are simply trained again.
        return engine

    def _build(
        self, mixture: Mixture, settings: TrainSettings, parent: str, base: str
    ) -> engines.Engine:
        """Build an engine on a parent checkpoint with fresh heads."""
        self.close_engine()
        study = self.config.study
        weights = None
        if parent != base:
            entry = self.store.get("stages", parent)
            if entry is None:
                raise StoreError(
                    f"stage {parent[:12]} is not in the store {self.store.url}. Resume the run; it "
                    "is trained again when it is needed."
                )
            weights = self.store.load(entry)
        catalogue = self.inputs.catalogue
        model = build_model(
            self.config.model_path,
            {
                stream.task: (catalogue[stream.task].format, self.inputs.head_size(stream))
                for stream in mixture.all_streams
            },
            dropout=settings.dropout,
            seed=derived_seed("heads", settings.seed, *mixture.tasks),
            revision=study.model.revision,
            weights=weights,
            options={task: catalogue[task].options for task in mixture.tasks},
        )
        self._engine = engines.Engine(
            model,
            settings,
            study.deepspeed,
            precision=study.training.precision,
            world_size=self.world_size,
            micro_batch_size=study.training.micro_batch_size,
        )
        return self._engine

    def _train(
        self, engine: engines.Engine, mixture: Mixture, settings: TrainSettings, *, until: int
    ) -> None:
        """Train from the engine's step up to step ``until``.

        Raises:
            TrainingError: The loss diverged; every worker raises it.
        """
        if engine.step_count >= until:
            return
        tasks = mixture.tasks
        features = [self.inputs.train_features(stream) for stream in mixture.all_streams]
        shares = mixture.shares([len(found) for found in features])
        schedule = mixture_schedule(shares, settings.seed, settings.steps)
        taken = [schedule[: engine.step_count].count(i) for i in range(len(tasks))]
        while engine.step_count < until:
            step = engine.step_count
            chosen = schedule[step]
            name = tasks[chosen]
            seed = derived_seed("stream", settings.seed, name)
            indices = global_batch(seed, len(features[chosen]), settings.batch_size, taken[chosen])
            taken[chosen] += 1
            # Dropout is seeded anew at every step, so a continued stage needs no saved RNG state.
            torch.manual_seed(derived_seed("dropout", settings.seed, step, self.rank))
            engine.train_step(
                micro_batches(
                    features[chosen],
                    indices,
                    task=name,
                    form=self.inputs.catalogue[name].format,
                    tokenizer=self.inputs.tokenizer,
                    device=engine.device,
                    rank=self.rank,
                    world_size=self.world_size,
                    micro_batch_size=engine.micro_batch_size,
                    seed=derived_seed("mask", settings.seed, step),
                    packed=engine.packs,
                )
            )
        engine.check_finite()
