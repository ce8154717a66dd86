"""The DeepSpeed engine: ``Engine`` wraps one ``TaskModel`` for one stage.

With ``engine_state``, ``deepspeed_tuning`` and ``deepspeed_leaks`` all that imports deepspeed;
import this one first.
"""

from __future__ import annotations

import datetime
import gc
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from pydantic import ValidationError
from torch import Tensor

from spaces.errors import InputError, TrainingError
from spaces.plan import TrainSettings
from spaces.study import DeepSpeedSection
from trainables.deepspeed_config import deepspeed_config, offloads_optimizer
from trainables.deepspeed_leaks import let_go
from trainables.lost_workers import share_timeout
from trainables.meeting import leaves_the_node, stay_on_the_node
from trainables.models import TaskModel, parameter_groups
from trainables.optimizers import adamw

# The accelerator must be chosen before the import.
if torch.cuda.is_available():
    # Whatever a parent process without a GPU has chosen for itself.
    os.environ["DS_ACCELERATOR"] = "cuda"
else:
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
from deepspeed.runtime.config import DeepSpeedConfigError

from trainables.deepspeed_tuning import clip, clips_here, tuned
from trainables.engine_state import EngineState, held

logging.getLogger("DeepSpeed").setLevel(logging.WARNING)

#: Steps between two looks at whether the loss is still finite: a look waits for the device.
CHECK_EVERY = 25
NEVER = 2**62
#: Seconds that workers wait for each other; the first worker may write a large stage meanwhile.
TIMEOUT_S = 1800.0


def init_process(
    rank: int = 0, world_size: int = 1, meeting: str = "", *, timeout_s: float = TIMEOUT_S
) -> None:
    """Join the process group of a trial's workers; called once a process.

    Args:
        rank: This worker's number.
        world_size: Number of workers.
        meeting: Where they meet, as ``trainables.meeting`` has it; one worker needs none.
        timeout_s: How long a worker waits for the others; on a GPU its process ends then.

    A worker takes the first of the GPUs that it sees: ``CUDA_VISIBLE_DEVICES``, which Ray sets,
    shows it its own.
    """
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK="0", LOCAL_SIZE="1")
    if not leaves_the_node(meeting):
        stay_on_the_node()
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(
        backend,
        init_method=meeting or None,
        # A process by itself meets nobody: nothing listens.
        store=None if meeting else dist.HashStore(),  # type: ignore[attr-defined]
        rank=rank,
        world_size=world_size,
        timeout=datetime.timedelta(seconds=timeout_s),
    )
    # The CPU back end compiles a shared-memory kernel for half a minute unless told not to.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
    # What is imported by now lives as long as the process: the collection after each engine would
    # look through all of it, which takes longer than a small engine lives.
    gc.freeze()


class Engine:
    """One model under DeepSpeed, for one stage.

    Args:
        model: The model; moved to the worker's device.
        settings: The stage's settings.
        section: ZeRO settings of the study, or the path of a DeepSpeed JSON.
        precision: ``fp32`` or ``bf16``.
        world_size: Number of workers.
        micro_batch_size: Most examples in one forward pass on one worker; all if ``None``.

    Raises:
        InputError: The batch does not divide over the workers, the JSON sets a key that is not its
            own to set or that DeepSpeed refuses, or the optimizer is to be offloaded where there is
            no GPU.

    Attributes:
        step_count: Steps trained.
        is_whole: Whether the weights are those after a whole number of steps; false if an error
            struck in the middle of an update.
    """

    def __init__(
        self,
        model: TaskModel,
        settings: TrainSettings,
        section: DeepSpeedSection | str,
        *,
        precision: str,
        world_size: int,
        micro_batch_size: int | None = None,
    ) -> None:
        if settings.batch_size % world_size:
            raise InputError(
                f"training.batch_size: {settings.batch_size} does not divide over "
                f"{world_size} workers. Use a multiple of resources.workers_per_trial."
            )
        share = settings.batch_size // world_size
        micro = min(share, micro_batch_size or share)
        while share % micro:
            micro -= 1
        self.settings = settings
        self.micro_batch_size = micro
        self.accumulation_steps = share // micro
        config = deepspeed_config(
            section,
            settings,
            precision=precision,
            micro_batch_size=micro,
            accumulation_steps=self.accumulation_steps,
        )
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
        config = tuned(config, num_parameters, world_size)
        self._clips_here = clips_here(config)
        zero_stage = int(config["zero_optimization"]["stage"])
        groups = parameter_groups(model, settings.weight_decay)
        offloaded = offloads_optimizer(config)
        if offloaded and not torch.cuda.is_available():
            raise InputError(
                "deepspeed: the optimizer is to be offloaded from the GPU, and this worker has "
                "none. Use offload: none, or give it one (resources.gpus_per_worker)."
            )
        optimizer = adamw(groups, settings.learning_rate, offloaded=offloaded)
        try:
            self.engine, *_ = deepspeed.initialize(
                model=model, optimizer=optimizer, config=config, dist_init_required=False
            )
        except (ValidationError, DeepSpeedConfigError) as error:
            raise InputError(f"deepspeed: DeepSpeed refuses {section!r}: {error}") from error
        self._state = EngineState(self.engine, zero_stage)
        if world_size > 1:
            share_timeout(self.device)
        if world_size == 1 and self._state.is_plain:
            # One worker has nothing to reduce; without ZeRO the engine would do it all the same.
            self.engine.enable_backward_allreduce = False
        self.step_count = 0
        self.is_whole = True
        self._is_training: bool | None = None
        self._first_bad_step = torch.tensor(NEVER, device=self.device)

    @property
    def device(self) -> torch.device:
        """The worker's device."""
        return torch.device(self.engine.device)

    @property
    def module(self) -> TaskModel:
        """The wrapped model."""
        module: TaskModel = self.engine.module
        return module

    @property
    def packs(self) -> bool:
        """Whether micro-batches may come packed."""
        return self.module.packs

    @property
    def gathers_weights(self) -> bool:
        """Whether a forward pass is one of all workers together: under ZeRO 3."""
        return self._state.is_parted

    def train_step(self, micro_batches: Iterator[Mapping[str, Any]]) -> Tensor:
        """Run one optimizer step over ``accumulation_steps`` micro-batches.

        Returns:
            This worker's share of the global batch's mean loss, a scalar on the device. Reading
            it waits for the device, which a loop should not do at every step.

        Raises:
            TrainingError: A loss of the last ``CHECK_EVERY`` steps is not finite.
        """
        self._set_mode(training=True)
        self._set_rate(self.settings.learning_rate_at(self.step_count))
        total = torch.zeros((), device=self.device)
        for number in range(self.accumulation_steps):
            # The engine divides by the accumulation steps; the loss is already a global mean.
            loss = self.engine(**next(micro_batches))
            self.engine.backward(loss * self.accumulation_steps)
            self.is_whole = False
            if self._clips_here and number + 1 == self.accumulation_steps:
                clip(self.engine, self.settings.max_grad_norm)
            self.engine.step()
            self.is_whole = True
            total += loss.detach()
        self.step_count += 1
        now = torch.where(torch.isfinite(total), NEVER, self.step_count)
        self._first_bad_step = torch.minimum(self._first_bad_step, now)
        if not self.engine.was_step_applied():
            # DeepSpeed leaves out a step whose gradients are not finite, on all workers alike.
            self._first_bad_step.clamp_(max=self.step_count)
        if self.step_count % CHECK_EVERY == 0:
            self._check_losses()
        return total

    def check_finite(self) -> None:
        """Check that no loss so far and no weight is NaN or infinite; every worker must call it.

        Raises:
            TrainingError: One is. Every worker raises it, whichever worker's share was the first.
        """
        # A part of the weights may be kept in the host's memory.
        sums = (held(parameter).sum() for parameter in self.module.parameters())
        fine = torch.stack([torch.isfinite(total).to(self.device) for total in sums])
        # The last step's loss may be finite and its update not.
        now = torch.where(fine.all(), NEVER, self.step_count)
        self._first_bad_step = torch.minimum(self._first_bad_step, now)
        self._check_losses()

    def _check_losses(self) -> None:
        # The workers agree before any of them raises: one that raised alone would leave the
        # others waiting for it in the next step's reduction.
        if dist.get_world_size() > 1:
            dist.all_reduce(self._first_bad_step, dist.ReduceOp.MIN)
        step = int(self._first_bad_step)
        if step < NEVER:
            rate = self.settings.learning_rate_at(step - 1)
            raise TrainingError(
                f"the loss is NaN or infinite at step {step} of {self.settings.steps} (or its "
                f"gradients are; learning rate {rate:.2e}). Lower the learning rate or use "
                "precision fp32."
            )

    def logits(self, **inputs: Any) -> Tensor:
        """Run the model without gradients in evaluation mode."""
        self._set_mode(training=False)
        # Under ZeRO 3 weights are gathered on the way, and one made in inference mode could not be
        # trained any more.
        with torch.inference_mode(not self.gathers_weights), torch.no_grad():
            output: Tensor = self.engine(**inputs)
        return output

    def encoder_weights(self) -> dict[str, Tensor]:
        """Return the encoder's weights as full 32-bit tensors on the CPU.

        Every worker must call it; only worker 0 is given the weights, the others an empty mapping.
        """
        return self._state.weights("encoder.")

    def state(self) -> dict[str, Tensor]:
        """Return weights, moments and step as full 32-bit tensors on the CPU.

        Every worker must call it; only worker 0 is given the state, the others an empty mapping.
        """
        return self._state.read(self.step_count)

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from ``state``'s tensors; every worker must call it with all of them."""
        self._make_moments()
        self.step_count = self._state.write(tensors)

    def destroy(self) -> None:
        """Give the engine's memory back; the process group stays."""
        let_go(self.module)
        self.engine.destroy()
        del self.engine, self._state
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _set_mode(self, *, training: bool) -> None:
        # Every module is told, which a step of a small model notices.
        if self._is_training != training:
            self.engine.train(training)
            self._is_training = training

    def _set_rate(self, rate: float) -> None:
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate

    def _make_moments(self) -> None:
        """Make the optimizer's state exist: one step on a loss of zero, at a rate of zero.

        AdamW makes its moments in its first step, and ZeRO's ways to set them need them made.
        """
        self._set_mode(training=True)
        self._set_rate(0.0)
        token = torch.zeros((1, 1), dtype=torch.long, device=self.device)
        for _ in range(self.accumulation_steps):
            loss = self.engine(task=None, input_ids=token, attention_mask=torch.ones_like(token))
            self.engine.backward(loss)
            self.engine.step()
