"""Builds a stage's engine and trains it, in whatever memory the device has.

A stage that runs out of memory goes on with half the micro-batch, which changes nothing but speed:
the effective batch is the same, and the step that failed is trained again from its start. What has
fitted is remembered for the next one of the same tasks and model.
"""

from __future__ import annotations

import gc
import logging
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from spaces.errors import TrainingError
from spaces.plan import TrainSettings
from spaces.stages import Mixture
from spaces.study import DeepSpeedSection
from trainables.batches import derived_seed
from trainables.deepspeed_config import json_sections
from trainables.devices import device_bytes, device_precision, is_out_of_memory, seed_device
from trainables.engine import Engine
from trainables.feature_cache import default_cache_dir
from trainables.inputs import TaskInputs
from trainables.loader import ahead
from trainables.memory import Load, ModelShape, choose_zero_stage, most_tokens
from trainables.meter import Meter, Report
from trainables.micro_batch_sizes import MicroBatchSizes
from trainables.models import TaskModel, build_model
from trainables.session_config import SessionConfig
from trainables.steps import Layout, stage_steps
from trainables.storage.errors import EntryLostError
from trainables.store import StageStore
from trainables.watchdog import watched

_log = logging.getLogger(__name__)
#: Steps that wait ready while a GPU works. On a CPU there is no core to make them meanwhile.
STEPS_AHEAD = 2


class OutOfMemoryError(RuntimeError):
    """A worker ran out of memory where it cannot go on by itself; trying again may help.

    Beside other workers, which wait for it and have to be started anew, smaller micro-batches are
    taken then; what had no room at all may find it once others have left the device.
    """


@dataclass(frozen=True, slots=True)
class Training:
    """What one engine is built for.

    Attributes:
        name: The stage's sequence, or the target's name.
        mixture: What it trains on.
        settings: Its settings.
        parent: Identity of the checkpoint it starts from.
        base: Identity of the base model, the parent of a first stage.
    """

    name: str
    mixture: Mixture
    settings: TrainSettings
    parent: str
    base: str


class Trainer:
    """One worker's engine, one at a time.

    Args:
        config: The study's configuration.
        inputs: Gives the training sets.
        store: Holds the stages to start from.
        rank: This worker's number.
        world_size: Number of workers.

    Attributes:
        engine: The engine, if there is one.
    """

    def __init__(
        self,
        config: SessionConfig,
        inputs: TaskInputs,
        store: StageStore,
        rank: int,
        world_size: int,
    ) -> None:
        self.engine: Engine | None = None
        self._config = config
        self._inputs = inputs
        self._store = store
        self._rank = rank
        self._world_size = world_size
        self._precision = device_precision(config.study.training.precision)
        if config.study.training.precision == "auto" and self._world_size > 1:
            # One worker without bf16 is enough for all to do without.
            self._precision = "bf16" if self._smallest(self._precision == "bf16") else "fp32"
        cache = Path(config.cache_dir).expanduser() if config.cache_dir else default_cache_dir()
        self._sizes = MicroBatchSizes(cache / "micro_batches")

    def build(self, training: Training) -> Engine:
        """Build an engine on a parent checkpoint with fresh heads, in place of the one before.

        Raises:
            StoreError: The parent is missing or damaged.
            OutOfMemoryError: The device has no room for it.
        """
        self.close()
        try:
            # What it compiles or fetches may wait for a lock that nobody gives back.
            with watched():
                return self._build(training)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        # Not in the handler, as in ``train``.
        raise OutOfMemoryError(
            f"{training.name or 'the base model'}: no room for the model and its optimizer "
            f"({reason}). See `taskorder check` for what they take: part them over more workers "
            "(deepspeed.zero_stage), or keep the optimizer in the host's memory "
            "(deepspeed.offload)."
        )

    def _build(self, training: Training) -> Engine:
        options = self._config.study.training
        model = self._model(training)
        if options.activation_checkpointing:
            _checkpoint_activations(model.encoder)
        if self._compiles:
            # In place: under a wrapper every weight would have another name.
            model.encoder.compile(dynamic=True)
        micro_batch_size = self._micro_batch_size(training)
        self.engine = Engine(
            model,
            training.settings,
            self._section(model, training, micro_batch_size),
            precision=self._precision,
            world_size=self._world_size,
            micro_batch_size=micro_batch_size,
        )
        return self.engine

    def train(self, training: Training, *, until: int, report: Report | None = None) -> Engine:
        """Train the engine from its step up to step ``until``.

        Args:
            training: What the engine was built for.
            until: One after the last step.
            report: Told of the steps, by the first worker alone.

        Returns:
            The engine, another one if the first ran out of memory.

        Raises:
            TrainingError: The loss diverged, on every worker; or there is no room for one example.
            OutOfMemoryError: There is not enough room, and other workers wait.
        """
        while True:
            assert self.engine is not None
            try:
                self._train(self.engine, training, until, report)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            else:
                return self.engine
            # Not in the handler: the error holds on to the tensors of every function it went
            # through.
            self._halve(training, reason)

    def close(self) -> None:
        """Give the engine's memory back."""
        if self.engine is not None:
            self.engine.destroy()
            if sys.exc_info()[0] is None:
                # What is left lives as long as the process, records and features above all. Without
                # this, each engine's collection would look through all of them again, half a
                # second. An error on its way holds on to the engine's parts: they would stay.
                gc.freeze()
        self.engine = None

    @property
    def _compiles(self) -> bool:
        """Whether the encoder is compiled: asked for, and there is a compiler."""
        wanted = self._config.study.training.torch_compile
        return wanted and _can_compile(torch.cuda.is_available())

    def _train(self, engine: Engine, training: Training, until: int, report: Report | None) -> None:
        if engine.step_count >= until:
            return
        seed = training.settings.seed
        meter = Meter(
            report if self._rank == 0 else None,
            training.name,
            step=engine.step_count,
            steps=until,
        )
        layout = Layout(
            self._rank,
            self._world_size,
            engine.device,
            engine.micro_batch_size,
            engine.packs and not self._compiles,
        )
        steps = stage_steps(
            self._inputs,
            training.mixture,
            training.settings,
            layout,
            start=engine.step_count,
            until=until,
            counted=meter.is_on,
        )
        depth = STEPS_AHEAD if engine.device.type == "cuda" else 0
        with ahead(steps, depth) as ready, watched() as live:
            for step in ready:
                live()
                # Dropout is seeded anew at every step: a continued stage needs no saved RNG state.
                seed_device(derived_seed("dropout", seed, step.number, self._rank), engine.device)
                meter.count(engine.train_step(iter(step.batches)), step.num_tokens)
        engine.check_finite()

    def _halve(self, training: Training, reason: str) -> None:
        """Go on with half the micro-batch, from the last whole step."""
        engine = self.engine
        assert engine is not None
        size, step = engine.micro_batch_size, engine.step_count
        if size == 1:
            raise TrainingError(
                f"{training.name or 'the base model'}: not even one example fits the memory of "
                f"the device ({reason}). Set training.activation_checkpointing, shorten "
                "training.max_length, or part the model over more workers (deepspeed.zero_stage 3)."
            )
        half = size // 2
        self._sizes.remember(self._memory_key(training), half)
        _log.warning(
            "%s: out of memory with micro-batches of %d at step %d, goes on with %d and the same "
            "effective batch (%s)",
            training.name,
            size,
            step,
            half,
            reason,
        )
        if self._world_size > 1:
            raise OutOfMemoryError(
                f"worker {self._rank} ran out of memory with micro-batches of {size}; the next "
                f"try takes {half} ({reason})"
            )
        # The optimizer's moments are made in the first step.
        state = engine.state() if engine.is_whole and step else None
        del engine
        engine = self.build(training)
        if state is not None:
            engine.load_state(state)

    def _model(self, training: Training) -> TaskModel:
        weights: dict[str, Tensor] | None = None
        if training.parent != training.base:
            entry = self._store.get("stages", training.parent)
            if entry is None:
                raise EntryLostError(
                    "stages",
                    training.parent,
                    f"stage {training.parent[:12]} is not in the store {self._store.url}. Resume "
                    "the run; it is trained again when it is needed.",
                )
            weights = self._store.load(entry)
        catalogue, mixture = self._inputs.catalogue, training.mixture
        return build_model(
            self._config.model_path,
            {
                stream.task: (catalogue[stream.task].format, self._inputs.head_size(stream))
                for stream in mixture.all_streams
            },
            dropout=training.settings.dropout,
            seed=derived_seed("heads", training.settings.seed, *mixture.tasks),
            revision=self._config.study.model.revision,
            weights=weights,
            options={task: catalogue[task].options for task in mixture.tasks},
        )

    def _section(
        self, model: TaskModel, training: Training, micro_batch_size: int | None
    ) -> DeepSpeedSection | str:
        """Return DeepSpeed's settings, the ZeRO stage chosen where that is asked for."""
        section = self._config.study.deepspeed
        if isinstance(section, str) or section.zero_stage != "auto":
            return section
        config: Any = model.encoder.config
        share = training.settings.batch_size // self._world_size
        tasks = [self._inputs.catalogue[task] for task in training.mixture.tasks]
        load = Load(
            precision=self._precision,
            num_tokens=most_tokens(tasks, min(share, micro_batch_size or share)),
            world_size=self._world_size,
            offload=section.offload,
            activation_checkpointing=self._config.study.training.activation_checkpointing,
        )
        # The smallest memory of all workers: they need the same stage.
        memory = device_bytes()
        memory = memory if memory is None else self._smallest(memory)
        choice = choose_zero_stage(ModelShape.of(config.to_dict()), load, memory)
        _log.info("ZeRO stage %d: %s", choice.stage, choice.reason)
        return section.model_copy(update={"zero_stage": choice.stage})

    def _micro_batch_size(self, training: Training) -> int | None:
        """Return the most examples in a forward pass: the study's, or what has fitted before."""
        asked = self._config.study.training.micro_batch_size
        fitted = self._sizes.limit(self._memory_key(training))
        size = min((n for n in (asked, fitted) if n is not None), default=None)
        if self._world_size == 1:
            return size
        # Each worker may have a memory of its own, on its own machine.
        return self._smallest(size or training.settings.batch_size)

    def _smallest(self, value: int) -> int:
        """Return the smallest of the workers' values; every worker must call it."""
        if self._world_size == 1:
            return value
        device = "cuda" if torch.cuda.is_available() else "cpu"
        agreed = torch.tensor(int(value), device=device)
        dist.all_reduce(agreed, dist.ReduceOp.MIN)
        return int(agreed)

    def _memory_key(self, training: Training) -> dict[str, object]:
        study, catalogue = self._config.study, self._inputs.catalogue
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        section = study.deepspeed
        return {
            "model": self._config.model_path,
            "tasks": {task: catalogue[task].max_length for task in training.mixture.tasks},
            "device": [name, device_bytes()],
            "precision": self._precision,
            "deepspeed": (
                json_sections(section)
                if isinstance(section, str)
                else section.model_dump(mode="json")
            ),
            "activation_checkpointing": study.training.activation_checkpointing,
            "world_size": self._world_size,
        }


def _checkpoint_activations(encoder: nn.Module) -> None:
    if not getattr(encoder, "supports_gradient_checkpointing", False):
        raise TrainingError(
            f"training.activation_checkpointing: a {type(encoder).__name__} does not know it. "
            "Switch it off."
        )
    # The newer name; the older one warns where both are there.
    name = "activation_checkpointing_enable"
    enable: Any = getattr(encoder, name, None) or encoder.gradient_checkpointing_enable
    enable({"use_reentrant": False})


@lru_cache(maxsize=2)
def _can_compile(on_gpu: bool) -> bool:
    """Whether torch.compile works here; told once if it does not (no compiler, no Triton)."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device="cuda" if on_gpu else "cpu"))
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        _log.warning("torch.compile does not work here, goes on without it (%s)", reason)
        return False
    return True
