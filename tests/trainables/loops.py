"""The same training twice: as a plain PyTorch loop, and through the engine."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spaces.plan import TrainSettings
from spaces.study import DeepSpeedSection
from tests.trainables import tiny
from trainables.batches import collate, derived_seed, global_batch, micro_batches, mixture_schedule
from trainables.engine import Engine
from trainables.formats import FORMATS
from trainables.models import TaskModel, build_model

NUM_LABELS = 7
COUNT = 24
#: Sums in another order (partitions, workers, accumulation) differ in the last bits, which AdamW
#: carries on from step to step.
TOLERANCE = 2e-5
#: Losses of plain loops, by model, forms and settings.
_PLAIN: dict[tuple[Any, ...], list[float]] = {}


@dataclass
class Stage:
    """What to train: one task a format, in a mixture if there are several."""

    model: Path
    forms: tuple[str, ...]
    settings: TrainSettings = field(default_factory=tiny.settings)
    section: DeepSpeedSection | str = field(default_factory=DeepSpeedSection)
    precision: str = "fp32"
    micro_batch_size: int | None = None
    rank: int = 0
    world_size: int = 1
    packed: bool = True

    def build(self) -> TaskModel:
        tasks = {form: (form, NUM_LABELS) for form in self.forms}
        return build_model(str(self.model), tasks, dropout=self.settings.dropout, seed=1)

    def engine(self, state: dict[str, Tensor] | None = None) -> Engine:
        engine = Engine(
            self.build(),
            self.settings,
            self.section,
            precision=self.precision,
            world_size=self.world_size,
            micro_batch_size=self.micro_batch_size,
        )
        if state is not None:
            engine.load_state(state)
        return engine

    def batch(self, step: int) -> tuple[str, list[int]]:
        schedule = mixture_schedule(
            [COUNT] * len(self.forms), self.settings.seed, self.settings.steps
        )
        chosen = schedule[step]
        taken = schedule[:step].count(chosen)
        return self.forms[chosen], global_batch(5, COUNT, self.settings.batch_size, taken)

    def plain_losses(self) -> list[float]:
        """Train in plain PyTorch, all of a batch at once."""
        # What ZeRO stage, precision, workers and layout are compared with is one and the same.
        key = (str(self.model), self.forms, self.settings)
        if key not in _PLAIN:
            _PLAIN[key] = self._train_plainly()
        return list(_PLAIN[key])

    def _train_plainly(self) -> list[float]:
        model = self.build()
        settings = self.settings
        optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in model.parameters() if p.ndim >= 2],
                    "weight_decay": settings.weight_decay,
                },
                {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
            ]
        )
        model.train()
        losses = []
        for step in range(settings.steps):
            form, indices = self.batch(step)
            chosen = FORMATS[form].draw(
                tiny.features(form, COUNT), indices, tiny.tokenizer(), derived_seed("mask", step)
            )
            batch = collate(chosen, form, 1, torch.device("cpu"), labelled=True)
            loss = model(task=form, **batch) / sum(f.num_units for f in chosen)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate_at(step)
            optimizer.step()
            losses.append(loss.item())
        return losses

    def run(self, engine: Engine, until: int) -> list[float]:
        """Train through the engine; return this worker's shares of the losses."""
        losses: list[Any] = []
        while engine.step_count < until:
            torch.manual_seed(derived_seed("dropout", engine.step_count, self.rank))
            losses.append(engine.train_step(self.micro_batches(engine)))
        return [loss.item() for loss in losses]

    def micro_batches(self, engine: Engine) -> Iterator[Mapping[str, Any]]:
        """Return this worker's share of the engine's next step."""
        form, indices = self.batch(engine.step_count)
        return micro_batches(
            tiny.features(form, COUNT),
            indices,
            task=form,
            form=form,
            tokenizer=tiny.tokenizer(),
            device=engine.device,
            rank=self.rank,
            world_size=self.world_size,
            micro_batch_size=engine.micro_batch_size,
            seed=derived_seed("mask", engine.step_count),
            packed=self.packed and engine.packs,
        )

    def losses(self) -> list[float]:
        """Train the whole stage through the engine."""
        engine = self.engine()
        losses = self.run(engine, self.settings.steps)
        engine.check_finite()
        engine.destroy()
        # As a session does: what is left is not looked through again.
        gc.freeze()
        return losses
