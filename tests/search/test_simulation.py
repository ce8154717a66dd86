from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.coordinator import Coordinator
from search.ledger import Ledger
from search.samplers import make_sampler
from search.simulation import (
    CostModel,
    Fault,
    FaultModel,
    Simulation,
    SimulationResult,
    simulate,
)
from tests.search.executor import Executor, make_study, outcome, smooth_scores, virtual_clock
from tests.search.simulated import Scores, baselines_only, run, table_of
from trainables.tabular import TabularTrainable

# By hand.


def test_makespan_steps_and_utilisation_by_hand():
    # Worker 0: no stage 0-9, then qqp 9-38. Worker 1: mnli 0-19, both at once 19-58.
    result = run(baselines_only())
    assert result.makespan_s == 58
    assert [tally.busy_s for tally in result.tallies] == [38, 58]
    assert result.utilisation == pytest.approx(96 / 116)
    assert result.counts.steps_trained == 96
    frame = result.worker_frame().set_index("worker")
    assert frame.loc[0, "idle_s"] == 20
    assert frame["utilisation"].tolist() == pytest.approx([38 / 58, 1.0])


def test_a_trial_waits_for_a_stage_that_another_trains_and_then_has_it_for_nothing():
    # On four workers and two targets: mnli is trained 0-10 for one target; the other waits for it
    # without a worker, and takes the one that became free at 9 from 10 to 19. So with qqp at 20 and
    # both at once, which starts at 9, at 39; its second target ends at 48.
    result = run(baselines_only(targets=["xnli", "udpos"]), workers=4)
    assert result.makespan_s == 48
    assert result.counts.steps_trained == 10 + 20 + 30 + 8 * 9
    assert sum(record.steps_reused for record in result.records) == 10 + 20 + 30
    assert result.utilisation == pytest.approx(132 / (4 * 48))
    second = next(
        record
        for record in result.records
        if (str(record.proposal.sequence), record.proposal.target) == ("mnli", "udpos")
    )
    assert second.stages[0].reused
    assert second.stages[0].wall_s == 10
    assert second.started_at is not None
    assert second.finished_at is not None
    assert (second.finished_at - second.started_at).total_seconds() == 9


def test_costs_of_steps_tasks_evaluations_and_orchestration_by_hand():
    costs = CostModel(
        step_s=2.0, task_step_s={"mnli": 3.0, "xnli": 1.0}, evaluation_s=5.0, orchestration_s=0.5
    )
    result = run(baselines_only(), workers=1, costs=costs)
    # Four trials: 9 steps of the target at 1 s, three evaluations, half a second before each unit.
    targets = 4 * (9 + 3 * 5)
    # mnli at 3 s a step, qqp at 2 s, both at once at the mean of the two.
    stages = 10 * 3 + 20 * 2 + 30 * 2.5
    assert result.tallies[0].busy_s == targets + stages
    assert result.makespan_s == targets + stages + 0.5 * (4 * 3 + 3)


def test_the_incumbent_over_time_and_steps_by_hand():
    order = {"": 50.0, "mnli": 60.0, "qqp": 55.0, "mnli+qqp": 70.0}
    result = run(baselines_only(), lambda s, t, seed, rung: order[s] + rung, workers=1)
    found = result.incumbent_frame()
    assert found["sequence"].tolist() == ["", "mnli", "mnli+qqp"]
    assert found["score"].tolist() == [52, 62, 72]
    assert found["at_s"].tolist() == found["steps"].tolist() == [9, 28, 96]


def test_under_the_average_an_incumbent_is_the_mean_over_targets():
    order = {"": 50.0, "mnli": 60.0, "qqp": 55.0, "mnli+qqp": 40.0}
    study = baselines_only(targets=["xnli", "udpos"], objective="average")
    result = run(study, lambda s, t, seed, rung: order[s] + 4 * (t == "udpos"), workers=1)
    assert [(i.target, i.sequence, i.score) for i in result.incumbents] == [
        ("average", "", 52.0),
        ("average", "mnli", 62.0),
    ]


# Faults.


@dataclass(frozen=True)
class Scripted(FaultModel):
    """Faults by (trial, units done, attempt); a failure after two seconds."""

    script: tuple[tuple[tuple[int, int, int], str], ...] = ()

    def fault(self, trial: int, unit: int, attempt: int, duration_s: float) -> Fault | None:
        kind: Any = dict(self.script).get((trial, unit, attempt))
        return Fault(kind, 2.0) if kind else None


def test_a_failed_unit_is_done_again_by_hand():
    # Trial 1 fails two seconds into its stage of mnli, and again two seconds into its last rung.
    faults = Scripted(script=(((1, 0, 0), "failure"), ((1, 3, 1), "failure")))
    result = run(baselines_only(), workers=1, faults=faults)
    assert result.makespan_s == 96 + 4
    assert (result.tallies[0].busy_s, result.tallies[0].lost_s) == (96, 4)
    assert (result.counts.failures, result.counts.steps_lost, result.counts.given_up) == (2, 4, 0)
    assert result.counts.steps_trained == 96
    assert {record.status for record in result.records} == {"complete"}
    assert sum(record.steps_trained for record in result.records) == 96


def test_a_trial_that_fails_too_often_is_given_up_and_frees_its_stage():
    faults = Scripted(script=tuple(((2, 0, attempt), "failure") for attempt in range(3)))
    study = baselines_only("search.max_failures=2", targets=["xnli", "udpos"])
    result = run(study, workers=4, faults=faults)
    failed = [record for record in result.records if record.status == "failed"]
    assert [(str(r.proposal.sequence), r.proposal.target) for r in failed] == [("mnli", "xnli")]
    assert failed[0].error == "its process died 3 times (simulated)"
    assert result.counts.given_up == 1
    other = result.records[3]
    assert (other.status, other.stages[0].reused) == ("complete", False)
    # mnli is trained from second 6 on, when the first trial has been given up.
    assert other.started_at is not None
    assert other.started_at.second == 6


def test_a_preempted_worker_is_away_and_its_trial_goes_on_elsewhere():
    # Trial 1 loses worker 1 at 2 s; worker 0 takes it up at 9 s, before any other: 9-28. Worker 1
    # is back at 12 s and takes qqp 12-41; worker 0 both at once 28-67.
    faults = Scripted(preemption_s=10.0, script=(((1, 0, 0), "preemption"),))
    result = run(baselines_only("search.max_failures=0"), faults=faults)
    assert result.counts.preemptions == 1
    assert {record.status for record in result.records} == {"complete"}
    assert [tally.busy_s for tally in result.tallies] == [9 + 19 + 39, 29]
    assert (result.tallies[1].lost_s, result.tallies[1].away_s) == (2, 10)
    assert result.makespan_s == 67


def test_faults_come_at_their_rates_and_depend_on_their_place_alone():
    model = FaultModel(failures_per_hour=2.0, preemptions_per_hour=1.0, seed=5)
    found = [model.fault(trial, 0, 0, 600.0) for trial in range(4000)]
    # Three faults an hour: within 600 s with probability 1 - exp(-0.5), two of three failures.
    kinds = Counter(fault.kind for fault in found if fault)
    assert sum(kinds.values()) / 4000 == pytest.approx(1 - math.exp(-0.5), abs=0.03)
    assert kinds["failure"] / sum(kinds.values()) == pytest.approx(2 / 3, abs=0.04)
    assert all(0 <= fault.after_s < 600 for fault in found if fault)
    assert found[::-1] == [model.fault(trial, 0, 0, 600.0) for trial in range(3999, -1, -1)]
    assert FaultModel().fault(0, 0, 0, 1e9) is None
    assert model.fault(0, 0, 0, 0.0) is None


# The same as the real thing.


@pytest.mark.parametrize("objective", ["per_target", "average"])
@pytest.mark.parametrize("workers", [1, 3, 7])
def test_decisions_are_those_of_the_coordinator_under_any_driver(objective, workers):
    study = make_study("search.num_trials=20", objective=objective)
    trainable = TabularTrainable.of(study, table_of(study, seeds=3))
    simulation = Simulation(study, trainable, workers=workers)
    told: list[int] = []
    for name in ("on_stage", "on_rung"):
        call = getattr(simulation.coordinator, name)
        setattr(simulation.coordinator, name, _spy(call, told))
    result = simulation.run()

    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        return smooth_scores(sequence, target, trainable.planner.recorded_seed(seed), rung)

    ledger = Ledger(
        study, optuna.storages.InMemoryStorage(), make_sampler(study), clock=virtual_clock()
    )
    driven = Coordinator(
        study, trainable.planner, ledger, max_concurrent=workers, run_id="simulation"
    )
    executor = _Following(scores, told)
    assert executor.drive(driven)
    assert outcome(driven) == outcome(simulation.coordinator)
    assert result.records == simulation.coordinator.records


def _spy(call: Callable[..., Any], told: list[int]) -> Callable[..., Any]:
    def spying(number: int, report: Any) -> Any:
        told.append(number)
        return call(number, report)

    return spying


class _Following(Executor):
    """Has trials report in a given order."""

    def __init__(self, scores: Scores, order: list[int]) -> None:
        super().__init__(scores)
        self._order = iter(order)

    def choose(self, running: list[int]) -> int:
        return next(self._order)


# Properties.


@st.composite
def simulations(draw: st.DrawFn) -> SimulationResult:
    objective = draw(st.sampled_from(["per_target", "average"]))
    noise = draw(st.integers(0, 1000))
    nan = draw(st.sampled_from([0, 0, 3]))

    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        text = f"{noise}|{sequence}|{target}|{rung}"
        value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big")
        return math.nan if nan and value % nan == 0 else value / 656

    study = make_study(
        f"search.num_trials={draw(st.integers(1, 25))}",
        f"search.baselines={draw(st.sampled_from(['true', 'false']))}",
        f"search.confirm.top={draw(st.integers(0, 1))}",
        f"search.asha={draw(st.sampled_from(['{num_rungs: 3}', 'null']))}",
        f"search.max_failures={draw(st.integers(0, 2))}",
        f"seed={draw(st.integers(0, 3))}",
        objective=objective,
    )
    faults = FaultModel(
        failures_per_hour=draw(st.sampled_from([0.0, 30.0, 300.0])),
        preemptions_per_hour=draw(st.sampled_from([0.0, 60.0])),
        preemption_s=draw(st.sampled_from([0.0, 20.0])),
        seed=draw(st.integers(0, 5)),
    )
    costs = CostModel(orchestration_s=draw(st.sampled_from([0.0, 0.25])))
    return run(study, scores, workers=draw(st.integers(1, 9)), costs=costs, faults=faults)


@settings(max_examples=60, deadline=None)
@given(simulations())
def test_no_trial_is_lost_or_doubled_and_nothing_is_trained_twice(result):
    records = result.records
    keys = Counter(record.proposal.key for record in records)
    assert set(keys.values()) <= {1}
    assert all(record.is_final for record in records)
    assert all(
        len(r.rungs) == len(r.decisions) and [x.rung for x in r.rungs] == list(range(len(r.rungs)))
        for r in records
    )
    arrivals = [report.arrival for record in records for report in record.rungs]
    assert sorted(arrivals) == list(range(len(arrivals)))
    trained = Counter(s.fingerprint for r in records for s in r.stages if not s.reused)
    assert set(trained.values()) <= {1}
    assert result.counts.steps_trained == sum(record.steps_trained for record in records)
    unshared = sum(
        sum(stage.steps for stage in record.stages)
        + (record.rungs[-1].budget_steps if record.rungs else 0)
        for record in records
    )
    assert result.counts.steps_trained <= unshared
    assert result.counts.steps_trained + sum(r.steps_reused for r in records) == unshared


@settings(max_examples=30, deadline=None)
@given(simulations())
def test_time_is_accounted_for(result):
    assert math.fsum(tally.busy_s for tally in result.tallies) == pytest.approx(
        result.counts.steps_trained
    )
    for tally in result.tallies:
        assert tally.busy_s + tally.lost_s <= result.makespan_s + 1e-6
    times = [found.at_s for found in result.incumbents]
    assert times == sorted(times)
    for first, second in itertools.pairwise(result.incumbents):
        assert first.steps <= second.steps
    for target in {found.target for found in result.incumbents}:
        scores = [found.score for found in result.incumbents if found.target == target]
        assert scores == sorted(set(scores))


def test_sharing_trains_less_and_decides_the_same():
    study = make_study("search.num_trials=12")
    table = table_of(study, seeds=3)
    shared, unshared = (
        simulate(study, TabularTrainable.of(study, table, shares_prefixes=shares), workers=1)
        for shares in (True, False)
    )
    assert shared.counts.steps_trained < unshared.counts.steps_trained
    assert [r.proposal.key for r in shared.records] == [r.proposal.key for r in unshared.records]
    reused = sum(record.steps_reused for record in shared.records)
    assert shared.counts.steps_trained + reused == unshared.counts.steps_trained


# Determinism.

SCRIPT = """
import sys
from tests.search.test_simulation import digest
print(digest())
"""


def digest() -> str:
    study = make_study("search.num_trials=20", "search.sampler=random", objective="average")
    faults = FaultModel(failures_per_hour=100, preemptions_per_hour=50, preemption_s=7)
    result = run(study, workers=5, faults=faults, costs=CostModel(orchestration_s=0.1))
    frames = {**result.frames(), "i": result.incumbent_frame(), "w": result.worker_frame()}
    text = json.dumps(result.summary()) + "".join(
        frame.to_csv(index=False) for frame in frames.values()
    )
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.slow
def test_the_same_seed_is_the_same_run_in_every_process():
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert found == {digest() + "\n"}
