"""DeepSpeed's configuration of a stage: the study's settings, or a user's own JSON under them.

The rule of merging: the study file decides what it has a setting for (batch, clipping, optimizer,
schedule, precision), and a JSON that sets one of those keys is refused by name. So is one that
would change what a stage learns, or has a key that DeepSpeed does not know. Everything else is the
JSON's, unchanged. The value ``"auto"`` means "left out", as in Hugging Face's configurations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spaces.errors import InputError, UnknownNameError
from spaces.plan import TrainSettings
from spaces.study import DeepSpeedSection
from trainables.deepspeed_keys import FREE, LEARNING, OWNED, ZERO_LEARNING

#: What the engine's own optimizer, a torch optimizer under ZeRO, has to have.
NEEDED = {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False}
ZERO_STAGES = (0, 1, 2, 3)


def deepspeed_config(
    section: DeepSpeedSection | str,
    settings: TrainSettings,
    *,
    precision: str,
    micro_batch_size: int,
    accumulation_steps: int,
) -> dict[str, Any]:
    """Return the DeepSpeed configuration of a stage.

    Args:
        section: The study's own settings, or the path of a DeepSpeed JSON.
        settings: The stage's settings.
        precision: ``fp32`` or ``bf16``.
        micro_batch_size: Examples in one forward pass on one worker.
        accumulation_steps: Forward passes a worker makes in one step.

    Raises:
        InputError: A JSON that cannot be read, sets a key that is not its own to set or that is
            unknown, or asks for what cannot be (an unknown ZeRO stage, optimizer offload without
            ZeRO).
    """
    if isinstance(section, str):
        config = json_sections(section)
    else:
        config = {"zero_optimization": {"stage": section.zero_stage}}
        if section.offload == "optimizer":
            # Page-locked: gradients and weights go to and fro while the GPU works.
            offload = {"device": "cpu", "pin_memory": True}
            config["zero_optimization"]["offload_optimizer"] = offload
        _check(config, "deepspeed")
    zero = config["zero_optimization"]
    if precision == "bf16" and zero["stage"] == 0:
        # The 32-bit weights are the optimizer's, and only ZeRO's optimizers let them be read.
        # Stage 1 makes the same updates, each worker a part of them.
        zero["stage"] = 1
    decided = {
        "train_micro_batch_size_per_gpu": micro_batch_size,
        "gradient_accumulation_steps": accumulation_steps,
        "gradient_clipping": settings.max_grad_norm,
        "bf16": {"enabled": precision == "bf16"},
    }
    return {"steps_per_print": 10**9} | config | NEEDED | decided


def offloads_optimizer(config: dict[str, Any]) -> bool:
    """Return whether a configuration keeps the optimizer's state off the GPU."""
    offload = config["zero_optimization"].get("offload_optimizer") or {}
    return bool(offload.get("device", "none") != "none")


def json_sections(path: str) -> dict[str, Any]:
    """Return what a user's own DeepSpeed JSON decides, its ZeRO stage always.

    Raises:
        InputError: As ``deepspeed_config``.
    """
    config = _read(path)
    config.setdefault("zero_optimization", {}).setdefault("stage", 0)
    _check(config, f"deepspeed: {path!r}")
    return config


def _check(config: dict[str, Any], where: str) -> None:
    stage = config["zero_optimization"]["stage"]
    if stage not in ZERO_STAGES:
        raise InputError(
            f"{where}: the ZeRO stage is {stage!r}. Use one of {', '.join(map(str, ZERO_STAGES))}."
        )
    if offloads_optimizer(config) and stage == 0:
        raise InputError(
            f"{where}: the optimizer can be offloaded from ZeRO stage 1 on, and the stage is 0. "
            "Raise the ZeRO stage, or offload nothing."
        )


def _read(path: str) -> dict[str, Any]:
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"deepspeed: cannot read {path!r}: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"deepspeed: {path!r} holds a {type(config).__name__}, not an object.")
    config = _without_auto(config)
    zero = config.get("zero_optimization", {})
    if not isinstance(zero, dict):
        raise InputError(f"deepspeed: zero_optimization of {path!r} is not an object.")
    _check_keys(config, zero, path)
    return config


def _check_keys(config: dict[str, Any], zero: dict[str, Any], path: str) -> None:
    """Refuse keys that are not the JSON's to set, by name."""
    owned = [key for key in OWNED if key in config]
    if owned:
        raise InputError(
            f"deepspeed: {path!r} sets {', '.join(owned)}, which the study file decides "
            '(training and resources). Remove the keys, or set them to "auto".'
        )
    learning = [key for key in LEARNING if key in config]
    learning += [f"zero_optimization.{key}" for key in ZERO_LEARNING if zero.get(key)]
    if learning:
        raise InputError(
            f"deepspeed: {path!r} sets {', '.join(learning)}, which would change what a stage "
            "learns, and stages are shared by what they learn. Remove the keys."
        )
    unknown = next((key for key in config if key not in FREE), None)
    if unknown is not None:
        raise UnknownNameError("key", unknown, FREE, where=f"deepspeed: {path!r}")
    for key, value in NEEDED.items():
        if config.get(key, value) != value:
            raise InputError(
                f"deepspeed: {path!r} sets {key} to {config[key]!r}, and the engine's optimizer "
                f"needs {value!r}. Remove the key."
            )
    if "cpu_offload" in zero:
        raise InputError(
            f"deepspeed: {path!r} sets zero_optimization.cpu_offload, the older name. Write "
            '"offload_optimizer": {"device": "cpu"} in its place.'
        )


def _without_auto(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration less its ``"auto"`` values, at every depth.

    An object that held nothing else goes as a whole: it states no wish.
    """
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            inner = _without_auto(value)
            if inner or not value:
                kept[key] = inner
        elif value != "auto":
            kept[key] = value
    return kept
