"""The same stage trained by its peers, for ``training_throughput``.

Each takes the same model, examples and batches as a session, and returns the seconds of its steps,
start-up not included.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import deepspeed
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from spaces.plan import TrainSettings
from trainables.batches import derived_seed, global_batch
from trainables.formats import FORMATS
from trainables.formats.base import Feature
from trainables.models import TaskModel, build_model

Clock = Callable[[], float]
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
        zero_stage: Of the peers that have DeepSpeed.
        warm_up: Steps that are trained before the clock starts.
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
    zero_stage: int
    warm_up: int
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
        """Pad a batch to its longest row, or to a fixed length; with its labels."""
        chosen = [self.features[i] for i in indices]
        batch = self.padded(chosen, length)
        labels = FORMATS[self.form].labels(chosen, batch["input_ids"].shape[1])
        num_units = sum(feature.num_units for feature in chosen)
        return {**batch, "labels": labels.to(self.device), "scale": 1 / num_units}

    def padded(self, features: Sequence[Feature], length: int | None = None) -> dict[str, Tensor]:
        """Pad features to their longest row, or to a fixed length."""
        rows = [torch.tensor(row).long() for feature in features for row in feature.rows]
        input_ids = pad_sequence(rows, batch_first=True, padding_value=self.pad_id)
        if length is not None:
            fill = max(0, length - input_ids.shape[1])
            input_ids = nn.functional.pad(input_ids, (0, fill), value=self.pad_id)
        return {
            "input_ids": input_ids.to(self.device),
            "attention_mask": (input_ids != self.pad_id).long().to(self.device),
        }

    def deepspeed(self) -> dict[str, Any]:
        """Return DeepSpeed's configuration, for the peers that have it."""
        # bf16 needs stage 1 at least, as it does in a session.
        stage = max(1, self.zero_stage) if self.precision == "bf16" else self.zero_stage
        return {
            "train_micro_batch_size_per_gpu": self.settings.batch_size,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": self.settings.max_grad_norm,
            "bf16": {"enabled": self.precision == "bf16"},
            "zero_optimization": {"stage": stage},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
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
    for step in range(job.warm_up + steps):
        if step == job.warm_up:
            started = job.now()
        batch = job.batch(job.indices(step), job.max_length if fixed else None)
        with job.autocast():
            loss = model(job.task, **batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), job.settings.max_grad_norm)
        optimizer.step()
    return job.now() - started


def bare_compiled(job: Job, steps: int) -> float:
    """Train by the bare loop with a compiled encoder; no step that is timed compiles anything."""
    model = job.model().train()
    model.encoder.compile(dynamic=True)
    optimizer = _optimizer(model, job.settings)

    def train(step: int) -> None:
        with job.autocast():
            loss = model(job.task, **job.batch(job.indices(step)))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), job.settings.max_grad_norm)
        optimizer.step()

    # Twice: the compiler meets every shape, and the one it is told of first as a special case.
    begun = time.perf_counter()
    for step in [*range(job.warm_up, job.warm_up + steps)] * 2:
        train(step)
    warmed = time.perf_counter()
    started = job.now()
    for step in range(job.warm_up, job.warm_up + steps):
        train(step)
    seconds = job.now() - started
    compiling = warmed - begun - 2 * (time.perf_counter() - warmed)
    print(f"    compiling took {compiling:.0f} s", flush=True)
    return seconds


def bare_deepspeed(job: Job, steps: int) -> float:
    """Train by DeepSpeed's own loop, padded to the longest row."""
    model = job.model()
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=_optimizer(model, job.settings),
        config=job.deepspeed(),
        dist_init_required=False,
    )
    engine.train()
    started = 0.0
    for step in range(job.warm_up + steps):
        if step == job.warm_up:
            started = job.now()
        engine.backward(engine(job.task, **job.batch(job.indices(step))))
        engine.step()
    seconds = job.now() - started
    engine.destroy()
    return seconds


def trainer(job: Job, steps: int) -> float:
    """Train by Hugging Face's Trainer, padded to the longest row."""
    with _without_a_group():
        return _trainer(job, steps, use_cpu=job.device.type == "cpu")


def trainer_deepspeed(job: Job, steps: int) -> float:
    """Train by Hugging Face's Trainer with DeepSpeed, padded to the longest row.

    With ``use_cpu`` it would ignore the configuration without a word. Without it, DeepSpeed's own
    accelerator says where to train.
    """
    try:
        return _trainer(job, steps, deepspeed=job.deepspeed())
    finally:
        # What accelerate keeps of it would hold for the next Trainer, too.
        AcceleratorState._reset_state(reset_partial_state=True)
        for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
            del os.environ[name]


def _trainer(job: Job, steps: int, **options: Any) -> float:
    timer = _Timer(job)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=job.settings.batch_size,
            max_steps=job.warm_up + steps,
            learning_rate=job.settings.learning_rate,
            weight_decay=job.settings.weight_decay,
            max_grad_norm=job.settings.max_grad_norm,
            bf16=job.precision == "bf16",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            # Batches are made on the device.
            dataloader_pin_memory=False,
            **options,
        )
        # One GPU of several, as all the others.
        arguments._n_gpu = min(1, arguments.n_gpu)
        peer = Trainer(
            model=_Wrapped(job.model(), job.task),
            args=arguments,
            train_dataset=_Examples(job, job.warm_up + steps),
            data_collator=lambda places: _collated(job, places),
            callbacks=[timer],
        )
        peer.remove_callback(PrinterCallback)
        peer.train()
        if "deepspeed" in options:
            assert isinstance(peer.model_wrapped, deepspeed.DeepSpeedEngine)
            peer.model_wrapped.destroy()
    return timer.seconds


@contextlib.contextmanager
def _without_a_group() -> Iterator[None]:
    """Hide the process group: Trainer would wrap the model for workers, and there is one."""
    hidden = {name: os.environ.pop(name, None) for name in GROUP_VARIABLES}
    try:
        yield
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
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
        if state.global_step == self._job.warm_up:
            self.seconds = -self._job.now()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seconds += self._job.now()


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )


def token_counts(job: Job, steps: int) -> Iterator[list[int]]:
    """Yield the lengths of the rows of each step that is timed."""
    for step in range(job.warm_up, job.warm_up + steps):
        yield [len(row) for i in job.indices(step) for row in job.features[i].rows]
