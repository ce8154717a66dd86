"""A slot's process goes from trial to trial: none is handed out while Ray has to start another."""

from __future__ import annotations

import json
from types import SimpleNamespace

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from search.ray_adapters import CoordinatorScheduler, CoordinatorSearcher


class Pauses:
    """A coordinator that pauses what reports, and counts how often it is asked for a trial."""

    num_running = 0
    waits_for_others = False

    def __init__(self, max_concurrent=1):
        self.max_concurrent = max_concurrent
        self.num_asked = 0
        self.record = SimpleNamespace(stages=[], rungs=[1], is_final=False)

    def progress(self, number):
        return SimpleNamespace(record=self.record)

    def on_rung(self, number, event):
        return "pause"

    def take_settled(self):
        return []

    def select(self):
        self.num_asked += 1


def test_no_trial_is_handed_out_until_the_one_before_has_left_its_process():
    coordinator = Pauses()
    scheduler = CoordinatorScheduler(coordinator, None)
    searcher = CoordinatorSearcher(coordinator, scheduler.num_pausing)
    trial = SimpleNamespace(config={"plan": {"trial_id": 3}}, status=Trial.RUNNING)
    scheduler.on_trial_add(None, trial)
    event = json.dumps({"kind": "rung", "set_aside": []})
    assert scheduler.on_trial_result(None, trial, {"event": event}) == TrialScheduler.PAUSE
    assert searcher.suggest("next") is None
    assert scheduler.choose_trial_to_run(None) is None
    assert (coordinator.num_asked, searcher.has_finished) == (0, False)
    trial.status = Trial.PAUSED
    searcher.suggest("next")
    scheduler.choose_trial_to_run(None)
    assert coordinator.num_asked == 2


def test_a_slot_whose_process_is_free_does_not_wait_for_another():
    coordinator = Pauses(max_concurrent=2)
    scheduler = CoordinatorScheduler(coordinator, None)
    searcher = CoordinatorSearcher(coordinator, scheduler.num_pausing)
    trial = SimpleNamespace(config={"plan": {"trial_id": 3}}, status=Trial.RUNNING)
    scheduler.on_trial_add(None, trial)
    event = json.dumps({"kind": "rung", "set_aside": []})
    scheduler.on_trial_result(None, trial, {"event": event})
    searcher.suggest("next")
    assert coordinator.num_asked == 1
    coordinator.num_running = 1
    searcher.suggest("next")
    assert coordinator.num_asked == 1


def test_a_trial_whose_process_died_while_it_was_paused_keeps_nobody_waiting():
    coordinator = Pauses()
    scheduler = CoordinatorScheduler(coordinator, None)
    trial = SimpleNamespace(config={"plan": {"trial_id": 3}}, status=Trial.RUNNING)
    scheduler.on_trial_add(None, trial)
    event = json.dumps({"kind": "rung", "set_aside": []})
    scheduler.on_trial_result(None, trial, {"event": event})
    assert scheduler.num_pausing() == 1
    trial.status = Trial.ERROR
    assert scheduler.num_pausing() == 0
    # Running again, it is not being paused.
    trial.status = Trial.RUNNING
    assert scheduler.num_pausing() == 0
