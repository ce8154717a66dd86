"""The DeepSpeed engine: the only module that imports deepspeed.

``Engine`` wraps one ``TaskModel`` for one stage. Its whole state (weights, AdamW moments, step)
goes in and out as named full tensors, so a stage can be continued under another ZeRO stage or
number of workers, and nothing is pickled.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spaces.errors import InputError, TrainingError
from spaces.plan import TrainSettings
from spaces.study import DeepSpeedSection
from trainables.models import TaskModel

if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed  # noqa: E402  (the accelerator must be chosen before)
from deepspeed.utils import (  # noqa: E402
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)

logging.getLogger("DeepSpeed").setLevel(logging.WARNING)

MOMENTS = ("exp_avg", "exp_avg_sq")
#: Keys of a DeepSpeed JSON that the study file decides.
OWNED_KEYS = (
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "optimizer",
    "scheduler",
    "bf16",
    "fp16",
)


def free_port() -> int:
    """Return a port that is free on the loopback interface now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def init_process(rank: int, world_size: int, address: str, port: int) -> None:
    """Join the process group of a trial's workers; called once a process.

    Args:
        rank: This worker's number.
        world_size: Number of workers.
        address: Host name or address of worker 0.
        port: Free port there.
    """
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(world_size),
        LOCAL_RANK="0",
        LOCAL_SIZE="1",
        MASTER_ADDR=address,
        MASTER_PORT=str(port),
    )
    use_gpu = torch.cuda.is_available()
    if not use_gpu:
        # The CPU back end compiles a shared-memory kernel for half a minute unless told not to.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend="nccl" if use_gpu else "gloo", auto_mpi_discovery=False, verbose=False
    )


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
        InputError: The batch does not divide over the workers, or the JSON sets a key the study
            decides.
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
        config = deepspeed_config(section, settings, precision, micro, self.accumulation_steps)
        self._zero_stage = int(config["zero_optimization"]["stage"])
        groups = _parameter_groups(model, settings.weight_decay)
        if config["zero_optimization"].get("offload_optimizer", {}).get("device", "none") != "none":
            from deepspeed.ops.adam import DeepSpeedCPUAdam  # noqa: PLC0415  (compiles a kernel)

            optimizer = DeepSpeedCPUAdam(groups, lr=settings.learning_rate)
        else:
            optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
        self.engine, *_ = deepspeed.initialize(
            model=model, optimizer=optimizer, config=config, dist_init_required=False
        )
        self.step_count = 0

    @property
    def device(self) -> torch.device:
        """The worker's device."""
        return torch.device(self.engine.device)

    @property
    def module(self) -> TaskModel:
        """The wrapped model."""
        module: TaskModel = self.engine.module
        return module

    def train_step(self, micro_batches: Iterator[Mapping[str, Any]]) -> float:
        """Run one optimizer step over ``accumulation_steps`` micro-batches.

        Returns:
            This worker's share of the global batch's mean loss.

        Raises:
            TrainingError: The loss is not finite.
        """
        self.engine.train()
        rate = self.settings.learning_rate_at(self.step_count)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        total = 0.0
        for _ in range(self.accumulation_steps):
            # The engine divides by the accumulation steps; the loss is already a global mean.
            loss = self.engine(**next(micro_batches)) * self.accumulation_steps
            self.engine.backward(loss)
            self.engine.step()
            total += float(loss.detach()) / self.accumulation_steps
        if total != total or total in (float("inf"), float("-inf")):
            raise TrainingError(
                f"the loss is {total} at step {self.step_count + 1} of {self.settings.steps} "
                f"(learning rate {rate:.2e}). Lower the learning rate or use precision fp32."
            )
        self.step_count += 1
        return total

    @torch.inference_mode(False)
    @torch.no_grad()
    def logits(self, **inputs: Any) -> Tensor:
        """Run the model without gradients in evaluation mode."""
        self.engine.eval()
        output: Tensor = self.engine(**inputs)
        return output

    def encoder_weights(self) -> dict[str, Tensor]:
        """Return the encoder's weights as full 32-bit tensors; every worker must call it."""
        return {
            name.removeprefix("encoder."): self._full_weight(parameter)
            for name, parameter in self.module.named_parameters()
            if name.startswith("encoder.")
        }

    def state(self) -> dict[str, Tensor]:
        """Return weights, moments and step as full tensors; every worker must call it."""
        tensors = {"step": torch.tensor(self.step_count)}
        for name, parameter in self.module.named_parameters():
            tensors[f"weight/{name}"] = self._full_weight(parameter)
            for moment in MOMENTS:
                tensors[f"{moment}/{name}"] = self._moment(parameter, moment)
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from ``state``'s tensors; every worker must call it."""
        self.step_count = int(tensors["step"])
        for name, parameter in self.module.named_parameters():
            self._set_weight(parameter, tensors[f"weight/{name}"])
            for moment in MOMENTS:
                self._set_moment(parameter, moment, tensors[f"{moment}/{name}"])
        for state in self._base_optimizer().state.values():
            # Bias correction counts steps per parameter.
            step = state.get("step")
            state["step"] = (
                torch.full_like(step, float(self.step_count))
                if isinstance(step, Tensor)
                else self.step_count
            )

    def destroy(self) -> None:
        """Give the engine's memory back; the process group stays."""
        self.engine.destroy()
        del self.engine
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _base_optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.engine.optimizer
        inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
        return inner

    def _is_plain(self) -> bool:
        """Whether the optimizer is torch's own: no ZeRO, no 32-bit master copies."""
        return isinstance(self.engine.optimizer, torch.optim.Optimizer)

    def _full_weight(self, parameter: Tensor) -> Tensor:
        full = parameter if self._is_plain() else safe_get_full_fp32_param(parameter)
        return full.detach().to("cpu", torch.float32, copy=True).contiguous()

    def _moment(self, parameter: Tensor, moment: str) -> Tensor:
        if self._is_plain():
            full = self._base_optimizer().state.get(parameter, {}).get(moment)
        else:
            full = safe_get_full_optimizer_state(parameter, moment)
        if full is None:
            return torch.zeros(parameter.shape)
        return full.detach().to("cpu", torch.float32, copy=True).view(parameter.shape).contiguous()

    def _set_weight(self, parameter: Tensor, value: Tensor) -> None:
        if self._is_plain():
            with torch.no_grad():
                parameter.copy_(value)
        else:
            safe_set_full_fp32_param(parameter, value.to(self.device))
            if self._zero_stage < 3:
                with torch.no_grad():
                    parameter.copy_(value)

    def _set_moment(self, parameter: Tensor, moment: str, value: Tensor) -> None:
        if self._is_plain():
            state = self._base_optimizer().state[parameter]
            state.setdefault("step", torch.tensor(0.0))
            state[moment] = value.to(self.device, copy=True)
        else:
            safe_set_full_optimizer_state(parameter, value.to(self.device), moment)


def deepspeed_config(
    section: DeepSpeedSection | str,
    settings: TrainSettings,
    precision: str,
    micro_batch_size: int,
    accumulation_steps: int,
) -> dict[str, Any]:
    """Return the DeepSpeed configuration of a stage.

    Raises:
        InputError: A user's JSON that cannot be read or sets a key the study decides.
    """
    config: dict[str, Any]
    if isinstance(section, str):
        try:
            config = json.loads(Path(section).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"deepspeed: cannot read {section!r}: {error}") from None
        owned = [key for key in OWNED_KEYS if config.get(key, "auto") != "auto"]
        if owned:
            raise InputError(
                f"deepspeed: {section!r} sets {', '.join(owned)}, which the study file decides "
                '(training and resources). Remove the keys, or set them to "auto".'
            )
        for key in OWNED_KEYS:
            config.pop(key, None)
        config.setdefault("zero_optimization", {"stage": 0})
        config["zero_optimization"].setdefault("stage", 0)
    else:
        config = {"zero_optimization": {"stage": section.zero_stage}}
        if section.offload == "optimizer":
            config["zero_optimization"]["offload_optimizer"] = {"device": "cpu"}
    config |= {
        "train_micro_batch_size_per_gpu": micro_batch_size,
        "gradient_accumulation_steps": accumulation_steps,
        "gradient_clipping": settings.max_grad_norm,
        "bf16": {"enabled": precision == "bf16"},
        # Our own AdamW is a torch optimizer under ZeRO, which DeepSpeed wants to be told.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
    return config


def _parameter_groups(model: TaskModel, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters as is usual: no weight decay on biases and layer norms."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
