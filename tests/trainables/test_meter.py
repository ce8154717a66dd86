from __future__ import annotations

import pytest
import torch

from spaces.reports import StepProgress
from trainables.meter import Meter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_reports_are_a_second_apart_and_add_up():
    clock, told = Clock(), []
    meter = Meter(told.append, "mnli", step=10, steps=20, clock=clock)
    for i in range(10):
        clock.now += 0.4
        meter.count(torch.tensor(float(i)), 100)
    assert [progress.step for progress in told] == [11, 14, 17, 20]
    assert [progress.loss for progress in told] == [0.0, 2.0, 5.0, 8.0]
    first, second, *_ = told
    assert second == StepProgress(
        "mnli", 14, 20, 2.0, pytest.approx(300 / 1.2), pytest.approx(6 * 0.4)
    )
    assert first.left_s == pytest.approx(9 * 0.4)
    assert told[-1].left_s == 0


def test_the_loss_is_read_only_for_a_report():
    clock, told = Clock(), []
    meter = Meter(told.append, "mnli", step=0, steps=100, clock=clock)

    class Loss(torch.Tensor):
        reads = 0

        def __float__(self):
            Loss.reads += 1
            return super().__float__()

    for _ in range(50):
        clock.now += 0.1
        meter.count(torch.tensor(1.0).as_subclass(Loss), 10)
    assert Loss.reads == len(told) <= 6


def test_nobody_told_nothing_measured():
    meter = Meter(None, "mnli", step=0, steps=3)
    meter.count(torch.tensor(1.0), 10)
    assert not meter.is_on
