"""What a study's training will take of each GPU, told before anything starts. No torch.

The choices are those that the workers will make (``trainables.trainer``) where this machine has the
GPUs; for a study that is meant for others it is said what they depend on.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import InputError
from spaces.hyperparameters import Distribution
from spaces.study import ModelSection, Study
from trainables.deepspeed_config import json_sections, offloads_optimizer
from trainables.memory import (
    GIB,
    USABLE,
    Load,
    ModelShape,
    choose_zero_stage,
    estimate_memory,
    most_tokens,
)
from trainables.mini import MODEL_DIR
from trainables.preparation import MINI, SCRATCH, study_streams

#: Compute capability from which NVIDIA's GPUs compute bf16 themselves: Ampere.
BF16_CAPABILITY = 8.0
ZERO_STAGES = (0, 1, 2, 3)


def _shape(hidden: int, layers: int, vocabulary: int) -> ModelShape:
    return ModelShape.of(
        {
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "intermediate_size": 4 * hidden,
            "vocab_size": vocabulary,
            "max_position_embeddings": 514,
        }
    )


#: Sizes of published encoders by the last part of their hub ids, so that no hub has to be asked.
KNOWN = {
    "xlm-roberta-base": _shape(768, 12, 250_002),
    "xlm-roberta-large": _shape(1024, 24, 250_002),
    "xlm-roberta-xl": _shape(2560, 36, 250_880),
    "xlm-roberta-xxl": _shape(4096, 48, 250_880),
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine.

    Attributes:
        name: Its product name.
        memory_bytes: Its memory.
        has_bf16: Whether it computes bf16 itself.
    """

    name: str
    memory_bytes: int
    has_bf16: bool


def visible_gpus() -> tuple[Gpu, ...]:
    """Return this machine's NVIDIA GPUs as the driver lists them; none without its tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = "--query-gpu=name,memory.total,compute_cap"
    listed = subprocess.run(
        [tool, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False
    )
    return parse_gpus(listed.stdout) if listed.returncode == 0 else ()


def parse_gpus(listed: str) -> tuple[Gpu, ...]:
    """Read what ``nvidia-smi`` lists.

    >>> parse_gpus("NVIDIA A100-SXM4-40GB, 40960, 8.0")[0].has_bf16
    True
    """
    gpus = []
    for line in listed.strip().splitlines():
        name, mebibytes, capability = (part.strip() for part in line.rsplit(",", 2))
        has_bf16 = float(capability) >= BF16_CAPABILITY
        gpus.append(Gpu(name, int(mebibytes) * 2**20, has_bf16))
    return tuple(gpus)


def model_shape(model: ModelSection) -> ModelShape | None:
    """Return a model's sizes without a hub; ``None`` where they are not known here.

    Raises:
        InputError: A local model's configuration does not give them.
    """
    if model.name == SCRATCH:
        return ModelShape.of(
            {
                "hidden_size": model.hidden_size,
                "num_hidden_layers": model.num_layers,
                "intermediate_size": 4 * model.hidden_size,
                "vocab_size": model.vocab_size,
            }
        )
    config = (MODEL_DIR if model.name == MINI else Path(model.name)) / "config.json"
    if config.is_file():
        try:
            return ModelShape.of(json.loads(config.read_text(encoding="utf-8")))
        except ValueError as error:
            raise InputError(f"model.name: {config} is not valid JSON: {error}") from None
    return KNOWN.get(model.name.rpartition("/")[2].lower())


def describe_training(study: Study, gpus: Sequence[Gpu]) -> tuple[tuple[str, str], ...]:
    """Return what is known of a study's precision, ZeRO stage and memory: labels and texts.

    Args:
        study: The study.
        gpus: Those of this machine.

    Raises:
        InputError: As ``check_deepspeed``, or a local model's configuration is not valid.
    """
    on_gpu = study.resources.gpus_per_worker > 0
    check_deepspeed(study)
    gpu = min(gpus, key=lambda one: one.memory_bytes) if on_gpu and gpus else None
    precision, reason = _precision(study, gpu, on_gpu=on_gpu)
    rows = [("precision", f"{precision}: {reason}")]
    shape = model_shape(study.model)
    stage, stage_text = _zero_stage(study, shape, precision, gpu, on_gpu=on_gpu)
    rows.append(("ZeRO", stage_text))
    if shape is None:
        text = f"the sizes of {study.model.name!r} are known once it is at hand"
        return (*rows, ("memory", text))
    load = _load(study, precision)
    estimates = [estimate_memory(shape, load, at) for at in ([stage] if stage is not None else [])]
    where = (
        "on each GPU"
        if on_gpu
        else "of the host's memory for each worker, beside the program's own"
    )
    batch = f"{_micro_batch(study)} of the longest examples in a forward pass"
    # Several trials may share a GPU.
    part = min(1.0, study.resources.gpus_per_worker)
    for estimate in estimates:
        room = ""
        if gpu is not None:
            fits = estimate.total <= gpu.memory_bytes * part * USABLE
            has = f"{gpu.memory_bytes * part / GIB:.0f} GiB of the {gpu.name}"
            room = f"; {'fits' if fits else 'does not fit'} the {has}"
        rows.append(("memory", f"about {estimate} {where}, with {batch}{room}"))
    if not estimates:
        parts = [f"{at}: {estimate_memory(shape, load, at).total / GIB:.1f}" for at in ZERO_STAGES]
        rows.append(
            ("memory", f"about so many GiB on each GPU by ZeRO stage, with {batch}: "
             + ", ".join(parts))
        )  # fmt: skip
    return tuple(rows)


def _offload(study: Study) -> str:
    """Return what is offloaded: ``none`` or ``optimizer``."""
    section = study.deepspeed
    if isinstance(section, str):
        return "optimizer" if offloads_optimizer(json_sections(section)) else "none"
    return section.offload


def check_deepspeed(study: Study) -> None:
    """Check a study's DeepSpeed settings, those of a JSON too.

    Raises:
        InputError: A JSON that cannot be read or sets what the study decides; the optimizer is to
            be offloaded from no GPU, or without ZeRO; workers of a trial would share a GPU.
    """
    resources = study.resources
    if 0 < resources.gpus_per_worker < 1 and resources.workers_per_trial > 1:
        raise InputError(
            f"resources.gpus_per_worker is {resources.gpus_per_worker:g}, so a trial's workers may "
            "share a GPU, and NCCL connects no two processes on one. Give each worker a whole GPU, "
            "or use resources.workers_per_trial: 1."
        )
    if _offload(study) == "none":
        return
    if study.resources.gpus_per_worker <= 0:
        raise InputError(
            "deepspeed.offload: the optimizer is to be offloaded from the GPU, and "
            "resources.gpus_per_worker is 0. Give each worker a GPU, or use offload: none."
        )
    if not isinstance(study.deepspeed, str) and study.deepspeed.zero_stage == 0:
        raise InputError(
            "deepspeed.offload: the optimizer can be offloaded from ZeRO stage 1 on, and "
            "deepspeed.zero_stage is 0. Use 1, 2, 3 or auto, or offload: none."
        )


def _precision(study: Study, gpu: Gpu | None, *, on_gpu: bool) -> tuple[str, str]:
    asked = study.training.precision
    if asked != "auto":
        return asked, "as the study says"
    if not on_gpu:
        return "fp32", "auto, and a CPU is slower with bf16"
    if gpu is None:
        return "bf16", "auto, where the workers' GPUs have it; else fp32, and twice the memory"
    if gpu.has_bf16:
        return "bf16", f"auto, and the {gpu.name} has it"
    return "fp32", f"auto, and the {gpu.name} does not compute bf16 itself"


def _zero_stage(
    study: Study, shape: ModelShape | None, precision: str, gpu: Gpu | None, *, on_gpu: bool
) -> tuple[int | None, str]:
    """Return the ZeRO stage, ``None`` if it depends on GPUs that are not here, and its reason."""
    section = study.deepspeed
    if isinstance(section, str):
        stage = int(json_sections(section)["zero_optimization"]["stage"])
        return stage, f"stage {stage}: {section} says so"
    if section.zero_stage != "auto":
        stage = section.zero_stage
        if precision == "bf16" and stage == 0:
            return 1, "stage 1: stage 0 as the study says, and bf16 needs its 32-bit weights"
        return stage, f"stage {stage}: as the study says"
    if on_gpu and (gpu is None or shape is None):
        return None, "auto: the lowest that fits the workers' GPUs"
    some = shape or KNOWN["xlm-roberta-base"]  # without a GPU it does not matter which
    memory = gpu.memory_bytes if gpu is not None else None
    choice = choose_zero_stage(some, _load(study, precision), memory)
    return choice.stage, f"stage {choice.stage}: auto, {choice.reason}"


def _load(study: Study, precision: str) -> Load:
    catalogue = study.catalogue()
    tasks = [catalogue[stream.task] for stream in study_streams(study)]
    return Load(
        precision=precision,
        num_tokens=most_tokens(tasks, _micro_batch(study)),
        world_size=study.resources.workers_per_trial,
        offload=_offload(study),
        activation_checkpointing=study.training.activation_checkpointing,
        on_gpu=study.resources.gpus_per_worker > 0,
    )


def _micro_batch(study: Study) -> int:
    """Return the most examples of a forward pass, over all stages and targets."""
    training = study.training
    sizes = [training.batch_size, training.stage.batch_size, training.target.batch_size]
    sizes += [stage.training.batch_size for stage in study.intermediate.stages.values()]
    for name, value in study.hyperparameters.items():
        if name.endswith(".batch_size"):
            given = value.extremes() if isinstance(value, Distribution) else (value,)
            sizes += [int(size) for size in given]
    share = max(size for size in sizes if size is not None) // study.resources.workers_per_trial
    return max(1, min(share, training.micro_batch_size or share))
