"""How much memory of a GPU a stage needs, before it is trained. Pure functions, no torch.

Bytes of weights, gradients and optimizer state are counted (Rajbhandari et al. 2020,
arXiv:1910.02054, section 3); those of activations are estimated (Korthikanti et al. 2022,
arXiv:2205.05198, section 4, with attention that keeps no scores).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from spaces.errors import InputError
from spaces.tasks import Task

GIB, MIB = 2**30, 2**20
#: Bytes of a number in each precision.
BYTES = {"fp32": 4, "bf16": 2}
#: Part of a device's memory that may be planned for; the rest is fragments and surprises.
USABLE = 0.9
#: What CUDA, its libraries and the process group take.
CONTEXT_BYTES = GIB
#: Elements of DeepSpeed's buckets for reducing and gathering, unless its configuration says other.
BUCKET_ELEMENTS = 500_000_000
#: Rows of an example, where it has more than one: choices, a query and its candidate.
ROWS = {"multiple_choice": 4, "retrieval": 2}
#: Names that architectures have for the sizes, the usual one first.
NAMES = {
    "hidden_size": ("hidden_size", "dim", "d_model"),
    "num_hidden_layers": ("num_hidden_layers", "n_layers", "num_layers"),
    "intermediate_size": ("intermediate_size", "hidden_dim", "d_ff"),
}


def most_tokens(tasks: Iterable[Task], num_examples: int) -> int:
    """Return the most tokens that a micro-batch of some tasks can have."""
    return num_examples * max(task.max_length * ROWS.get(task.format, 1) for task in tasks)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes of an encoder that decide its memory."""

    num_parameters: int
    hidden_size: int
    num_layers: int
    intermediate_size: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ModelShape:
        """Read the sizes off a Hugging Face configuration of XLM-R's, RoBERTa's or BERT's kind.

        Args:
            config: The content of ``config.json``.

        Raises:
            InputError: It gives them under no name that is known.
        """
        sizes = []
        for size, names in NAMES.items():
            found = next((config[name] for name in names if name in config), None)
            if found is None:
                raise InputError(
                    f"model.name: the configuration of this {config.get('model_type', 'model')!r} "
                    f"has no {size}, so its memory cannot be estimated. Set deepspeed.zero_stage "
                    "to 0, 1, 2 or 3."
                )
            sizes.append(int(found))
        hidden, layers, inner = sizes
        rows = sum(
            int(config.get(name, default))
            for name, default in (
                ("vocab_size", 0),
                ("max_position_embeddings", 512),
                ("type_vocab_size", 1),
            )
        )
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 4 * hidden
        return cls(rows * hidden + 2 * hidden + layers * layer, hidden, layers, inner)


@dataclass(frozen=True, slots=True)
class Load:
    """What is trained on one GPU.

    Attributes:
        precision: ``fp32`` or ``bf16``.
        num_tokens: Tokens of a micro-batch.
        world_size: Number of workers.
        offload: ``optimizer`` if its state is in the host's memory, else ``none``.
        activation_checkpointing: Whether activations are computed again for the backward pass.
        on_gpu: Whether it is a GPU; else the host's memory is meant.
    """

    precision: str
    num_tokens: int
    world_size: int = 1
    offload: str = "none"
    activation_checkpointing: bool = False
    on_gpu: bool = True


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes on one GPU at the highest point of a step.

    Attributes:
        weights: Those that compute.
        gradients: Of all weights, or of the worker's part.
        optimizer: Both moments; with ZeRO also 32-bit weights and gradients of the worker's part.
        buffers: DeepSpeed's buckets.
        activations: What the backward pass needs, an estimate.
        context: What CUDA takes; nothing on a CPU.
    """

    weights: int
    gradients: int
    optimizer: int
    buffers: int
    activations: int
    context: int = CONTEXT_BYTES

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        unit, name = (GIB, "GiB") if self.total >= GIB else (MIB, "MiB")
        digits = 1 if unit == GIB else 0
        shown = ", ".join(
            f"{'CUDA' if field.name == 'context' else field.name} "
            f"{getattr(self, field.name) / unit:.{digits}f}"
            for field in fields(self)
            if field.name != "context" or self.context
        )
        return f"{self.total / unit:.{digits}f} {name} ({shown})"


def estimate_memory(shape: ModelShape, load: Load, zero_stage: int) -> MemoryEstimate:
    """Estimate the memory of one GPU.

    Args:
        shape: The model.
        load: What it trains on.
        zero_stage: 0 to 3; bf16 trains under stage 1 at least.
    """
    size, count, workers = BYTES[load.precision], shape.num_parameters, load.world_size
    if load.precision == "bf16":
        zero_stage = max(1, zero_stage)
    weights, gradients = size * count, size * count
    if zero_stage == 0:
        optimizer, buffers = 8 * count, 0
    else:
        # 32-bit weights, both moments, and the gradients cast for the update.
        optimizer = 0 if load.offload == "optimizer" else 16 * count // workers
        buffers = 2 * size * min(count, BUCKET_ELEMENTS)
    if zero_stage >= 2:
        gradients //= workers
    if zero_stage == 3:
        weights //= workers
    activations = _activations(shape, load, size)
    context = CONTEXT_BYTES if load.on_gpu else 0
    return MemoryEstimate(weights, gradients, optimizer, buffers, activations, context)


def _activations(shape: ModelShape, load: Load, size: int) -> int:
    """Estimate the bytes kept for the backward pass: a layer's inputs, and its dropouts' masks."""
    hidden, inner = shape.hidden_size, shape.intermediate_size
    layer = size * (8 * hidden + 2 * inner) + 2 * hidden
    if load.activation_checkpointing:
        return load.num_tokens * (shape.num_layers * size * hidden + layer)
    return load.num_tokens * shape.num_layers * layer


@dataclass(frozen=True, slots=True)
class ZeroChoice:
    """A ZeRO stage, its memory and why it was chosen."""

    stage: int
    estimate: MemoryEstimate
    reason: str


def choose_zero_stage(shape: ModelShape, load: Load, device_bytes: int | None) -> ZeroChoice:
    """Choose the lowest ZeRO stage that fits a GPU: each higher one communicates more.

    Args:
        shape: The model.
        load: What it trains on.
        device_bytes: Memory of a GPU; ``None`` for a CPU, where nothing is won by parting.
    """
    lowest = 1 if load.precision == "bf16" or load.offload == "optimizer" else 0
    if device_bytes is None:
        estimate = estimate_memory(shape, load, lowest)
        return ZeroChoice(lowest, estimate, "there is no GPU whose memory could be too small")
    budget = int(device_bytes * USABLE)
    # Alone, a worker has nobody to part anything with.
    stages = range(lowest, 4) if load.world_size > 1 else (lowest,)
    for stage in stages:
        estimate = estimate_memory(shape, load, stage)
        if estimate.total <= budget:
            reason = (
                f"the lowest that fits {load.world_size} GPU(s) of {device_bytes / GIB:.0f} GiB, "
                f"with about {estimate.total / GIB:.1f} GiB on each"
            )
            return ZeroChoice(stage, estimate, reason)
    reason = (
        f"no stage is sure to fit: about {estimate.total / GIB:.1f} GiB on each of "
        f"{load.world_size} GPU(s) of {device_bytes / GIB:.0f} GiB. Use more workers, a smaller "
        "training.micro_batch_size, training.activation_checkpointing or deepspeed.offload"
    )
    return ZeroChoice(stages[-1], estimate, reason)
