"""Where a run's results are logged besides its own tables: TensorBoard, Weights & Biases, MLflow.

Ray Tune's own callbacks, with a trial's plan reduced to what a person compares runs by. Its
TensorBoard files are in the run directory, ``tensorboard --logdir RUN_DIR/ray``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from spaces.errors import InputError

#: The package that each logger needs.
PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}


def check_loggers(names: Iterable[str]) -> None:
    """Check that the packages of some loggers are installed.

    Raises:
        InputError: One is not.
    """
    for name in names:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise InputError(
                f"report.loggers: {name} needs the package {PACKAGES[name]}, which is not "
                f"installed. Install it (pip install {PACKAGES[name]}), or leave {name} out."
            )


def make_loggers(names: Sequence[str], study_name: str) -> list[Any]:
    """Return Ray Tune's callbacks of some loggers; import Ray first.

    The services are reached as their own environment variables and log-ins say
    (``WANDB_API_KEY``, ``WANDB_MODE``, ``MLFLOW_TRACKING_URI``).

    Args:
        names: ``tensorboard``, ``wandb``, ``mlflow``.
        study_name: Project of Weights & Biases, experiment of MLflow.
    """
    from ray.tune.logger import (  # noqa: PLC0415
        CSVLoggerCallback,
        JsonLoggerCallback,
        TBXLoggerCallback,
    )

    # Ray would add TensorBoard's whether it was asked for or not.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    loggers: list[Any] = [CSVLoggerCallback(), JsonLoggerCallback()]
    if "tensorboard" in names:
        with _torch_hidden():
            loggers.append(TBXLoggerCallback())
    if "wandb" in names:
        loggers.append(_wandb()(project=study_name))
    if "mlflow" in names:
        loggers.append(_mlflow()(experiment_name=study_name))
    return loggers


def shown(config: dict[str, Any]) -> dict[str, Any]:
    """Return what a person compares trials by, of a trial's Ray configuration.

    >>> shown({"plan": {"trial_id": 3, "sequence": "mnli>squad1", "target": "panx", "seed": 0}})
    {'trial_id': 3, 'sequence': 'mnli>squad1', 'target': 'panx', 'seed': 0}
    """
    plan = config["plan"]
    found = {name: plan[name] for name in ("trial_id", "sequence", "target", "seed")}
    if plan.get("model"):
        found["model"] = plan["model"]
    settings = plan.get("target_settings", {})
    return found | {f"target.{name}": value for name, value in settings.items() if name != "seed"}


@contextlib.contextmanager
def _torch_hidden() -> Iterator[None]:
    """Let nobody import torch.

    tensorboardX does so where it can, for tensors. It is given numbers alone here, and the driver
    needs torch for nothing else: that spares it more than a second, and 190 MB.
    """
    if "torch" in sys.modules:
        yield
        return
    # Python's own way to have an import fail.
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]


def _wandb() -> Any:
    from ray.air.integrations.wandb import WandbLoggerCallback  # noqa: PLC0415

    class Wandb(WandbLoggerCallback):
        """Ray's callback with a readable configuration."""

        def _start_logging_actor(self, trial: Any, exclude_results: Any, **options: Any) -> None:
            options["config"] = shown(trial.config)
            super()._start_logging_actor(trial, [*exclude_results, "event"], **options)

    return Wandb


def _mlflow() -> Any:
    from ray.air.integrations.mlflow import MLflowLoggerCallback  # noqa: PLC0415

    class Mlflow(MLflowLoggerCallback):
        """Ray's callback with parameters that stay the same.

        MLflow refuses a parameter that changes, and a trial that goes on after a pause has another
        configuration: how far it is.
        """

        def log_trial_start(self, trial: Any) -> None:
            if trial in self._trial_runs:
                return
            tags = {**self.tags, "trial_name": str(trial)}
            run = self.mlflow_util.start_run(tags=tags, run_name=str(trial))
            self._trial_runs[trial] = run.info.run_id
            self.mlflow_util.log_params(run_id=run.info.run_id, params_to_log=shown(trial.config))

    return Mlflow
