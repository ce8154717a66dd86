"""What a study file says of where its results go."""

from __future__ import annotations

from typing import Literal

from spaces.stage_sections import Section


class ReportSection(Section):
    """Where results are logged besides the run's own tables.

    Attributes:
        loggers: ``tensorboard`` (files in the run directory), ``wandb``, ``mlflow``; the packages
            of the last two are optional.
    """

    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
