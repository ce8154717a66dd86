"""The same stage trained by its peers, for ``training_throughput``.

Each takes the same model, examples and batches as a session, and returns the seconds of its steps,
start-up not included.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import deepspeed
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer, TrainerCallback, TrainingArguments

from spaces.plan import TrainSettings
from trainables.batches import derived_seed, global_batch
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.models import TaskModel, build_model

Clock = Callable[[], float]
#: Steps that are trained before the clock starts.
WARM_UP = 3
GROUP_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Job:
    """What every peer trains.

    Attributes:
        model_path: Folder of the base model.
        task: Name of the task.
        form: Its format.
        num_labels: Classes of its head.
        features: Its training set.
        settings: The stage's settings.
        pad_id: Id of the padding token.
        max_length: Longest input.
        device: Where it trains.
        precision: ``fp32`` or ``bf16``.
        clock: Seconds.
    """

    model_path: str
    task: str
    form: str
    num_labels: int
    features: list[Feature]
    settings: TrainSettings
    pad_id: int
    max_length: int
    device: torch.device
    precision: str
    clock: Clock

    def model(self) -> TaskModel:
        """Build the model on the device."""
        return build_model(
            self.model_path,
            {self.task: (self.form, self.num_labels)},
            dropout=self.settings.dropout,
            seed=0,
        ).to(self.device)

    def indices(self, step: int) -> list[int]:
        """Return the examples of a step, those a session trains on."""
        seed = derived_seed("stream", self.settings.seed, self.task)
        return global_batch(seed, len(self.features), self.settings.batch_size, step)

    def batch(self, indices: list[int], length: int | None = None) -> dict[str, Any]:
        """Pad a batch to its longest row, or to a fixed length."""
        chosen = [self.features[i] for i in indices]
        rows = [torch.tensor(row) for feature in chosen for row in feature.rows]
        input_ids = pad_sequence(rows, batch_first=True, padding_value=self.pad_id)
        if length is not None:
            fill = max(0, length - input_ids.shape[1])
            input_ids = nn.functional.pad(input_ids, (0, fill), value=self.pad_id)
        labels = FORMATS[self.form].labels(chosen, input_ids.shape[1])
        return {
            "input_ids": input_ids.to(self.device),
            "attention_mask": (input_ids != self.pad_id).long().to(self.device),
            "labels": labels.to(self.device),
            "scale": 1 / sum(feature.num_units for feature in chosen),
        }

    def now(self) -> float:
        """Return the time, once the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return self.clock()

    def autocast(self) -> Any:
        """Return a context that computes in bf16 where that is the precision."""
        enabled = self.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


def bare(job: Job, steps: int, *, fixed: bool = False) -> float:
    """Train by a loop as one would write it, padded to the longest row or to the fixed length."""
    model = job.model().train()
    optimizer = _optimizer(model, job.settings)
    started = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            started = job.now()
        batch = job.batch(job.indices(step), job.max_length if fixed else None)
        with job.autocast():
            loss = model(job.task, **batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), job.settings.max_grad_norm)
        optimizer.step()
    return job.now() - started


def bare_deepspeed(job: Job, steps: int) -> float:
    """Train by DeepSpeed's own loop, padded to the longest row."""
    model = job.model()
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=_optimizer(model, job.settings),
        config={
            "train_micro_batch_size_per_gpu": job.settings.batch_size,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": job.settings.max_grad_norm,
            "bf16": {"enabled": job.precision == "bf16"},
            "zero_optimization": {"stage": 1 if job.precision == "bf16" else 0},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
        },
        dist_init_required=False,
    )
    engine.train()
    started = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            started = job.now()
        engine.backward(engine(job.task, **job.batch(job.indices(step))))
        engine.step()
    seconds = job.now() - started
    engine.destroy()
    return seconds


def trainer(job: Job, steps: int) -> float:
    """Train by Hugging Face's Trainer, padded to the longest row.

    On a CPU it ignores a DeepSpeed configuration without a word, so it is given none.
    """
    timer = _Timer(job)
    with tempfile.TemporaryDirectory() as folder, _without_a_group():
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=job.settings.batch_size,
            max_steps=WARM_UP + steps,
            learning_rate=job.settings.learning_rate,
            weight_decay=job.settings.weight_decay,
            max_grad_norm=job.settings.max_grad_norm,
            bf16=job.precision == "bf16",
            use_cpu=job.device.type == "cpu",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=job.device.type == "cuda",
        )
        Trainer(
            model=_Wrapped(job.model(), job.task),
            args=arguments,
            train_dataset=_Examples(job, WARM_UP + steps),
            data_collator=lambda places: _collated(job, places),
            callbacks=[timer],
        ).train()
    return timer.seconds


@contextlib.contextmanager
def _without_a_group() -> Iterator[None]:
    """Hide the process group: Trainer would wrap the model for workers, and there is one."""
    hidden = {name: os.environ.pop(name, None) for name in GROUP_VARIABLES}
    try:
        yield
    finally:
        os.environ.update({name: value for name, value in hidden.items() if value is not None})


class _Examples(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """The examples of all steps, one after the other; the sampler shuffles them."""

    def __init__(self, job: Job, steps: int) -> None:
        self._order = [i for step in range(steps) for i in job.indices(step)]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> int:
        return self._order[place]


def _collated(job: Job, places: list[int]) -> dict[str, Tensor]:
    batch = job.batch(places)
    return {**batch, "scale": torch.tensor(batch["scale"])}


class _Wrapped(nn.Module):
    """A task's model with the results that Trainer reads."""

    def __init__(self, model: TaskModel, task: str) -> None:
        super().__init__()
        self.model = model
        self.task = task

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, scale: Tensor
    ) -> dict[str, Tensor]:
        return {"loss": self.model(self.task, input_ids, attention_mask, labels, scale)}


class _Timer(TrainerCallback):
    def __init__(self, job: Job) -> None:
        self._job = job
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == WARM_UP:
            self.seconds = -self._job.now()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds += self._job.now()


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )


def token_counts(job: Job, steps: int) -> Iterator[list[int]]:
    """Yield the lengths of the rows of each step that is timed."""
    for step in range(WARM_UP, WARM_UP + steps):
        yield [len(row) for i in job.indices(step) for row in job.features[i].rows]
