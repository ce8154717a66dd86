"""How far a stage or a target's fine-tuning has come, told while it trains.

Telling costs one look at the clock a step, and once a second one wait for the device, which has to
finish the steps it was given before the loss can be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from spaces.reports import StepProgress

#: Seconds between two reports.
EVERY_S = 1.0


Report = Callable[[StepProgress], None]


class Meter:
    """Tells a callable how training goes: after the first step, then at most once a second.

    Args:
        report: What is told; nothing is measured for ``None``.
        what: The stage's sequence, or the target's name.
        step: Steps trained before.
        steps: Steps to train.
        every_s: Seconds between two reports.
        clock: Seconds, of any origin.
    """

    def __init__(
        self,
        report: Report | None,
        what: str,
        *,
        step: int,
        steps: int,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._what = what
        self._first_step = self._told_step = self._step = step
        self._steps = steps
        self._every_s = every_s
        self._clock = clock
        self._started = self._told = clock()
        self._loss: Tensor | None = None
        self._num_tokens = 0

    @property
    def is_on(self) -> bool:
        """Whether anybody is told."""
        return self._report is not None

    def count(self, loss: Tensor, num_tokens: int) -> None:
        """Count one step.

        Args:
            loss: Its loss, a scalar on the device; read only when a report is due.
            num_tokens: Tokens of its examples.
        """
        if self._report is None:
            return
        self._step += 1
        self._num_tokens += num_tokens
        self._loss = loss if self._loss is None else self._loss + loss
        is_edge = self._step in (self._first_step + 1, self._steps)
        if is_edge or self._clock() - self._told >= self._every_s:
            self._tell(self._report)

    def _tell(self, report: Report) -> None:
        assert self._loss is not None
        with torch.no_grad():
            loss = float(self._loss) / (self._step - self._told_step)
        # After the loss: what is read of a device is there once its steps are done.
        now = self._clock()
        elapsed, trained = now - self._started, self._step - self._first_step
        report(
            StepProgress(
                what=self._what,
                step=self._step,
                steps=self._steps,
                loss=loss,
                tokens_per_s=self._num_tokens / max(now - self._told, 1e-9),
                left_s=elapsed / trained * (self._steps - self._step),
            )
        )
        self._told, self._told_step = now, self._step
        self._loss, self._num_tokens = None, 0
