"""What simulations come to: degenerate cases, limits, wrong input, and what is left of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from rich.console import Console

from analysis.frames import load_run, typed_frame
from analysis.statistics import leaderboard
from search.rundir import RunDirectory
from search.simulation import (
    CostModel,
    FaultModel,
    SimulationResult,
    render_simulation,
    simulate,
    simulate_seeds,
    task_seconds,
)
from spaces.errors import InputError, RunDirectoryError, TrainingError, UnknownNameError
from spaces.plan import TrialPlan
from spaces.study import Study
from spaces.tables import TABLES
from tests.search.executor import make_study
from tests.search.simulated import STEPS, baselines_only, run, table_of
from trainables.tabular import TabularTrainable

# Degenerate cases.

#: Those that know the space, and leave nothing of it out.
OWN = ("exhaustive", "random", "beam", "similarity_greedy", "sequence")


def _end_states(result: SimulationResult) -> set[str]:
    assert all(record.is_final for record in result.records)
    return {record.status for record in result.records}


@pytest.fixture(params=OWN)
def sampler(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """Name a sampler, and the table that one of them needs, as changes to a study."""
    chosen = f"search.sampler={request.param}"
    if request.param != "similarity_greedy":
        return (chosen,)
    table = tmp_path / "similarity.csv"
    rows = [f"source_target,mnli,{target},one,1.0" for target in ("xnli", "udpos")]
    table.write_text("\n".join(["kind,source,target,measure,value", *rows]), encoding="utf-8")
    return (chosen, f"search.similarity={table}")


def test_one_task(sampler):
    only = {"tasks": ["mnli"], "max_length": 1}
    result = run(make_study(*sampler, intermediate=only))
    assert "complete" in _end_states(result)
    assert {str(record.proposal.sequence) for record in result.records} == {"", "mnli"}


def test_length_one_and_length_zero(sampler):
    one = run(make_study(*sampler, intermediate={"tasks": ["mnli", "qqp"], "max_length": 1}))
    assert "complete" in _end_states(one)
    none = run(make_study(*sampler, intermediate={"tasks": ["mnli"], "max_length": 0}))
    assert "complete" in _end_states(none)
    assert none.counts.steps_trained > 0


@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_one_target(sampler, objective):
    study = make_study(*sampler, targets=["xnli"], objective=objective)
    assert "complete" in _end_states(run(study))


class Breaking:
    """One target always fails."""

    def __init__(self, inner: TabularTrainable) -> None:
        self.planner = inner.planner
        self._inner = inner

    def run_rung(self, plan: TrialPlan, rung: int) -> dict[str, Any]:
        if plan.target == "udpos":
            raise TrainingError("the loss is NaN at step 3")
        return self._inner.run_rung(plan, rung)


def test_a_target_that_always_fails_does_not_hold_up_the_others(sampler):
    study = make_study(*sampler)
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


def test_an_average_that_always_lacks_a_target_has_no_incumbent_and_ends(sampler):
    study = make_study(*sampler, objective="average")
    trainable = Breaking(TabularTrainable.of(study, table_of(study, seeds=3)))
    result = simulate(study, trainable, workers=3)
    assert "failed" in _end_states(result)
    assert result.incumbents == []
    assert "no incumbent" in shown([result])


def test_all_scores_equal(sampler):
    study = make_study(*sampler, "search.num_trials=20")
    result = run(study, lambda *_: 50.0, workers=3)
    assert _end_states(result) == {"complete", "pruned"}
    # The first to arrive stays the best.
    assert [found.sequence for found in result.incumbents] == ["", ""]


def test_all_nan(sampler):
    study = make_study(*sampler)
    result = run(study, lambda *_: math.nan, workers=3)
    assert _end_states(result) == {"failed"}
    assert result.incumbents == []
    assert "no incumbent" in shown([result])


def test_more_workers_than_candidates(sampler):
    study = make_study(*sampler, "search.num_trials=500", "search.confirm.top=0")
    result = run(study, workers=100)
    assert "complete" in _end_states(result)
    frame = result.worker_frame()
    assert (frame["busy_s"] == 0).sum() >= 60
    assert frame["utilisation"].min() == 0


def test_an_exhausted_space_ends_the_search_and_says_so(sampler):
    study = make_study(*sampler, "search.num_trials=500", "search.confirm.top=0")
    result = run(study)
    pairs = {(str(r.proposal.sequence), r.proposal.target) for r in result.records}
    assert len(pairs) == len(result.records) == (study.space.size + 1) * 2
    assert result.is_exhausted
    asked = (study.space.size - 4) * 2
    assert f"the search ended after {asked} of 500 trials: nothing new" in shown([result])


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_optunas_samplers_meet_the_same_ends(sampler):
    few = (f"search.sampler={sampler}", "search.num_trials=6", "search.confirm.top=0")
    for length in (0, 1):
        one = run(make_study(*few, intermediate={"tasks": ["mnli"], "max_length": length}))
        assert "complete" in _end_states(one)
    study = make_study(*few)
    breaking = Breaking(TabularTrainable.of(study, table_of(study, seeds=3)))
    result = simulate(study, breaking, workers=30)
    failed = {r.status for r in result.records if r.proposal.target == "udpos"}
    assert failed == {"failed"}
    assert _end_states(result) >= {"complete", "failed"}
    assert _end_states(run(study, lambda *_: math.nan)) == {"failed"}
    assert "complete" in _end_states(run(study, lambda *_: 50.0))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_a_sampler_that_repeats_itself_ends_the_search_and_says_so(sampler):
    study = make_study(f"search.sampler={sampler}", "search.num_trials=500", "search.confirm.top=0")
    result = run(study)
    tried = {(str(r.proposal.sequence), r.proposal.target) for r in result.records}
    assert len(tried) == len(result.records)
    assert result.is_exhausted
    asked = len(result.records) - (1 + 3 + 1) * 2
    left = study.space.size * 2 - (asked + (1 + 3) * 2)
    why = (
        f"the sampler '{sampler}' repeated itself only, and {left} of {study.space.size * 2} pairs"
        if left
        else "nothing new was left"
    )
    text = " ".join(shown([result]).split())
    assert f"the search ended after {asked} of 500 trials: {why}" in text


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
