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
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from analysis.frames import load_run, typed_frame
from analysis.statistics import leaderboard
from search.coordinator import Coordinator
from search.ledger import Ledger
from search.rundir import RunDirectory
from search.samplers import make_sampler
from search.simulation import (
    CostModel,
    Fault,
    FaultModel,
    Simulation,
    SimulationResult,
    render_simulation,
    simulate,
    simulate_seeds,
    task_seconds,
)
from spaces.errors import InputError, RunDirectoryError, TrainingError, UnknownNameError
from spaces.plan import TrialPlan
from spaces.sequences import Stage
from spaces.study import Study
from spaces.tables import TABLES
from tests.search.executor import Executor, make_study, outcome, smooth_scores, virtual_clock
from trainables.tabular import RecordedTable, TabularTrainable

#: Steps of a stage, by task.
STEPS = {"mnli": 10, "qqp": 20, "squad1": 30}

Scores = Callable[[str, str, int, int], float]


def table_of(
    study: Study, scores: Scores = smooth_scores, *, seeds: int = 1, full: int = 9
) -> RecordedTable:
    """Record a function as a table: targets at 1, 3 and 9 steps, or at ``full`` and its thirds."""
    texts = [str(sequence) for sequence in study.space.enumerate()]
    texts = [*dict.fromkeys((*texts, *study.space.tasks))]
    steps = {text: STEPS[text.rpartition(">")[2]] if text else 0 for text in texts}
    if len(study.space.tasks) > 1:
        steps[str(Stage(study.space.tasks))] = sum(STEPS[task] for task in study.space.tasks)
    budgets = [full // 9, full // 3, full]
    return RecordedTable(
        "test",
        {
            (text, target.name, seed, budget): scores(text, target.name, seed, rung)
            for text, target, seed in itertools.product(steps, study.targets, range(seeds))
            for rung, budget in enumerate(budgets)
        },
        steps,
    )


def run(study: Study, scores: Scores = smooth_scores, **settings: Any) -> SimulationResult:
    trainable = TabularTrainable.of(study, table_of(study, scores, seeds=3))
    return simulate(study, trainable, **{"workers": 2, **settings})


def baselines_only(*overrides: str, **content: Any) -> Study:
    """Baselines alone, which run in a fixed order and to the full budget: tasks of 10 and 20."""
    return make_study(
        "search.num_trials=0",
        "search.confirm.top=0",
        *overrides,
        **{"intermediate": {"tasks": ["mnli", "qqp"], "max_length": 1}, "targets": ["xnli"]}
        | content,
    )


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


class Breaking:
    """One target always fails."""

    def __init__(self, inner: TabularTrainable) -> None:
        self.planner = inner.planner
        self._inner = inner

    def run_rung(self, plan: TrialPlan, rung: int) -> dict[str, Any]:
        if plan.target == "udpos":
            raise TrainingError("the loss is NaN at step 3")
        return self._inner.run_rung(plan, rung)


@pytest.mark.parametrize("sampler", ["random", "sequence"])
def test_a_target_that_always_fails_does_not_hold_up_the_others(sampler):
    study = make_study(f"search.sampler={sampler}")
    trainable = Breaking(TabularTrainable.of(study, table_of(study, seeds=3)))
    result = simulate(study, trainable, workers=3)
    states = {
        target: {r.status for r in result.records if r.proposal.target == target}
        for target in ("xnli", "udpos")
    }
    assert states["udpos"] == {"failed"}
    assert "complete" in states["xnli"]
    assert {r.error for r in result.records if r.status == "failed"} == {
        "TrainingError: the loss is NaN at step 3"
    }
    assert {i.target for i in result.incumbents} == {"xnli"}


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


# Degenerate cases.


def _end_states(result: SimulationResult) -> set[str]:
    assert all(record.is_final for record in result.records)
    return {record.status for record in result.records}


each_sampler = pytest.mark.parametrize("sampler", ["random", "sequence"])


@each_sampler
def test_one_task(sampler):
    only = {"tasks": ["mnli"], "max_length": 1}
    result = run(make_study(f"search.sampler={sampler}", intermediate=only))
    assert "complete" in _end_states(result)
    assert {str(record.proposal.sequence) for record in result.records} == {"", "mnli"}


@each_sampler
def test_length_one_and_length_zero(sampler):
    name = f"search.sampler={sampler}"
    one = run(make_study(name, intermediate={"tasks": ["mnli", "qqp"], "max_length": 1}))
    assert "complete" in _end_states(one)
    none = run(make_study(name, intermediate={"tasks": ["mnli"], "max_length": 0}))
    assert "complete" in _end_states(none)
    assert none.counts.steps_trained > 0


@each_sampler
@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_one_target(sampler, objective):
    study = make_study(f"search.sampler={sampler}", targets=["xnli"], objective=objective)
    assert "complete" in _end_states(run(study))


@each_sampler
def test_an_average_that_always_lacks_a_target_has_no_incumbent_and_ends(sampler):
    study = make_study(f"search.sampler={sampler}", objective="average")
    trainable = Breaking(TabularTrainable.of(study, table_of(study, seeds=3)))
    result = simulate(study, trainable, workers=3)
    assert "failed" in _end_states(result)
    assert result.incumbents == []
    assert "no incumbent" in shown([result])


@each_sampler
def test_all_scores_equal(sampler):
    study = make_study(f"search.sampler={sampler}", "search.num_trials=20")
    result = run(study, lambda *_: 50.0, workers=3)
    assert _end_states(result) == {"complete", "pruned"}
    # The first to arrive stays the best.
    assert [found.sequence for found in result.incumbents] == ["", ""]


@each_sampler
def test_all_nan(sampler):
    study = make_study(f"search.sampler={sampler}")
    result = run(study, lambda *_: math.nan, workers=3)
    assert _end_states(result) == {"failed"}
    assert result.incumbents == []
    assert "no incumbent" in shown([result])


@each_sampler
def test_more_workers_than_candidates(sampler):
    study = make_study(f"search.sampler={sampler}", "search.num_trials=500", "search.confirm.top=0")
    result = run(study, workers=100)
    assert "complete" in _end_states(result)
    frame = result.worker_frame()
    assert (frame["busy_s"] == 0).sum() >= 60
    assert frame["utilisation"].min() == 0


@each_sampler
def test_an_exhausted_space_ends_the_search_and_says_so(sampler):
    study = make_study(f"search.sampler={sampler}", "search.num_trials=500", "search.confirm.top=0")
    result = run(study)
    pairs = {(str(r.proposal.sequence), r.proposal.target) for r in result.records}
    assert len(pairs) == len(result.records) == (study.space.size + 1) * 2
    assert result.is_exhausted
    asked = (study.space.size - 4) * 2
    assert f"the search ended after {asked} of 500 trials: nothing new" in shown([result])


def test_a_search_that_spends_its_trials_is_not_exhausted():
    assert not run(make_study("search.num_trials=4")).is_exhausted


# Limits and input.


def test_a_run_ends_at_a_number_of_steps_or_at_an_incumbent():
    limited = run(make_study(), max_steps=50, workers=1)
    assert 50 <= limited.counts.steps_trained < 50 + max(STEPS.values())
    assert limited.stopped
    seen = []
    stopped = run(make_study(), stop=lambda found: not seen.append(found.sequence), workers=1)
    assert len(stopped.incumbents) == 1
    assert stopped.stopped


def test_input_that_makes_no_sense_is_told():
    with pytest.raises(InputError, match="workers: 0 is too few"):
        run(make_study(), workers=0)
    with pytest.raises(InputError, match=r"step_s: -1.0 must be a number, 0 or more"):
        CostModel(step_s=-1.0)
    with pytest.raises(InputError, match=r"task_step_s.mnli: nan"):
        CostModel(task_step_s={"mnli": math.nan})
    with pytest.raises(InputError, match="failures_per_hour: inf"):
        FaultModel(failures_per_hour=math.inf)
    with pytest.raises(InputError, match="seed-count: 0"):
        simulate_seeds(make_study(), _trainable, workers=1, seed_count=0)


def test_seconds_of_single_tasks_are_read():
    study = make_study()
    assert task_seconds(["mnli=0.5", "xnli=2"], study) == {"mnli": 0.5, "xnli": 2.0}
    with pytest.raises(UnknownNameError, match=r"--task-step-s mnly=1: unknown task 'mnly'.*mnli"):
        task_seconds(["mnly=1"], study)
    with pytest.raises(InputError, match="--task-step-s mnli: write TASK=SECONDS"):
        task_seconds(["mnli"], study)


def test_a_storage_that_holds_trials_is_refused():
    storage = optuna.storages.InMemoryStorage()
    run(make_study(), storage=storage)
    with pytest.raises(InputError, match="storage: it holds trials of study 'synthetic' already"):
        run(make_study(), storage=storage)


def test_the_studys_own_limit_holds():
    result = run(make_study("search.max_concurrent=2"), workers=8)
    assert sum(tally.busy_s > 0 for tally in result.tallies) == 2


# What it leaves.


def test_frames_have_the_columns_of_a_run_directory():
    for frames in (run(make_study()).frames(), run(baselines_only()).frames()):
        for name, frame in frames.items():
            typed = typed_frame(frame, name)
            assert list(typed.columns)[: len(TABLES[name])] == [c.name for c in TABLES[name]]
            assert len(typed)


def test_a_simulated_run_directory_is_read_as_any_other(tmp_path):
    study, folder = make_study("search.num_trials=8"), tmp_path / "run"
    (result,) = simulate_seeds(study, _trainable, workers=3, run_dir=folder)
    found = load_run(folder)
    assert len(found.trials) == len(result.records)
    assert found.rungs["score"].tolist() == result.frames()["rungs"]["score"].tolist()
    assert set(leaderboard(found)["target"]) == {"xnli", "udpos"}
    figures = json.loads((folder / "simulation.json").read_text(encoding="utf-8"))
    assert figures["makespan_s"] == result.makespan_s
    assert figures["decision_latency"]["count"] == len(result.latencies_s)
    assert len(pd.read_parquet(folder / "tables" / "workers.parquet")) == 3
    assert len(pd.read_parquet(folder / "tables" / "incumbents.parquet")) == len(result.incumbents)
    with pytest.raises(RunDirectoryError, match="holds a run already"):
        simulate_seeds(study, _trainable, workers=3, run_dir=folder)
    with pytest.raises(RunDirectoryError, match="simulated"):
        RunDirectory(folder).read()


def test_nothing_is_written_where_the_input_is_wrong(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="run-dir: it holds one run, not 2"):
        simulate_seeds(make_study(), _trainable, workers=3, seed_count=2, run_dir=folder)
    with pytest.raises(InputError, match="workers: 0"):
        simulate_seeds(make_study(), _trainable, workers=0, run_dir=folder)
    assert not folder.exists()


def _trainable(study: Study) -> TabularTrainable:
    return TabularTrainable.of(study, table_of(study, seeds=3))


def shown(results: list[SimulationResult]) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(render_simulation(results))
    return capture.get()


def test_what_is_shown_of_one_simulation():
    study = baselines_only()
    scores = {"": 50.0, "mnli": 60.0, "qqp": 55.0, "mnli+qqp": 40.0}
    text = shown([run(study, lambda s, *_: scores[s])])
    assert "synthetic: simulated on 2 workers, virtual time" in text
    assert "4 (4 complete)" in text
    assert "96 trained, 0 spared by shared stages (0%), 0 lost" in text
    assert "82.8% of all workers; from 65.5% to 100.0% of one" in text
    line = next(line for line in text.splitlines() if line.startswith("xnli"))
    assert line.split() == ["xnli", "mnli", "60.0", "19", "s", "28"]


def test_a_note_is_told_once():
    results = simulate_seeds(make_study("search.num_trials=500"), _trainable, workers=2)
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(render_simulation([*results, *results], ["the table is small"]))
    assert capture.get().count("nothing new was left") == 1
    assert "note: the table is small" in capture.get()


def test_what_is_shown_of_several_seeds():
    results = simulate_seeds(make_study(), _trainable, workers=2, seed_count=3)
    assert [result.study.seed for result in results] == [0, 1, 2]
    assert len({tuple(r.proposal.key for r in x.records) for x in results}) == 3
    lines = [line.split() for line in shown(results).splitlines()]
    assert lines[1] == ["seed", "trials", "steps", "trained", "makespan", "utilisation"]
    assert [line[0] for line in lines[2:5]] == ["0", "1", "2"]
    steps = sorted(result.counts.steps_trained for result in results)
    assert lines[6][:3] == ["median", str(len(results[0].records)), str(steps[1])]
    xnli = next(line for line in lines if line[0] == "xnli")
    scores = [{i.target: i.score for i in result.incumbents}["xnli"] for result in results]
    assert xnli[-2] == f"{sorted(scores)[1]:.1f}"
    assert xnli[-4].endswith("/3")


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
