"""Arms in a run: which trials there are, what they share, and that a resumed run adds none."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import optuna
import pandas as pd
import pytest
from rich.console import Console

from search.coordinator import Coordinator
from search.phases import planned
from search.pricing import price, render_price
from search.tables import rows
from spaces.planner import Planner
from tests.search.executor import Executor, make_coordinator, make_planner, make_study, outcome

ARMS = {"none": [[]], "single": [["mnli"]], "ordered": [["mnli", "qqp"], ["qqp", "mnli"]]}
ALONE = {"num_trials": 0, "asha": {"reduction_factor": 3, "num_rungs": 3}}


def run(study: Any, executor: Executor | None = None, *, slots: int = 1) -> Coordinator:
    coordinator = make_coordinator(study, optuna.storages.InMemoryStorage(), slots=slots)
    assert (executor or Executor()).drive(coordinator)
    assert coordinator.is_finished
    return coordinator


def trials(coordinator: Coordinator) -> pd.DataFrame:
    return pd.DataFrame(rows(coordinator.records)["trials"])


def test_arms_alone_run_every_sequence_on_every_target_under_every_seed():
    frame = trials(run(make_study(arms=ARMS, arm_seeds=2, search=ALONE)))
    assert set(frame["phase"]) == {"arm"}
    assert set(frame["state"]) == {"complete"}
    assert set(frame["rung"]) == {2}
    names = ["arm", "sequence", "target", "seed"]
    found = Counter(frame[names].itertuples(index=False, name=None))
    ordered = [("ordered", "mnli>qqp"), ("ordered", "qqp>mnli")]
    sequences = [("none", ""), ("single", "mnli"), *ordered]
    assert found == Counter(
        (arm, sequence, target, seed)
        for arm, sequence in sequences
        for target in ("xnli", "udpos")
        for seed in (0, 1)
    )
    # By seed: an interrupted run has whole ones.
    assert frame["seed"].is_monotonic_increasing


def test_prefixes_are_trained_once_for_all_arms_and_targets():
    executor = Executor()
    run(make_study(arms=ARMS, arm_seeds=2, search=ALONE), executor, slots=3)
    # mnli, mnli>qqp, qqp, qqp>mnli under two seeds.
    assert len(executor.trained) == len(set(executor.trained)) == 8


def test_a_baseline_that_is_in_an_arm_is_one_trial_with_both():
    study = make_study(arms=ARMS, arm_seeds=[0, 5])
    found = [p for p in planned(study) if p.target == "xnli"]
    assert [(p.phase, p.arm, str(p.sequence), p.seed) for p in found] == [
        ("baseline", "none", "", 0),
        ("baseline", "single", "mnli", 0),
        ("baseline", "", "qqp", 0),
        ("baseline", "", "squad1", 0),
        ("baseline", "", "mnli+qqp+squad1", 0),
        ("arm", "ordered", "mnli>qqp", 0),
        ("arm", "ordered", "qqp>mnli", 0),
        ("arm", "none", "", 5),
        ("arm", "single", "mnli", 5),
        ("arm", "ordered", "mnli>qqp", 5),
        ("arm", "ordered", "qqp>mnli", 5),
    ]


def test_arms_beside_a_search_are_not_pruned_and_not_counted():
    study = make_study("search.num_trials=6", arms=ARMS, arm_seeds=2)
    frame = trials(run(study, slots=2))
    arms = frame[frame["arm"] != ""]
    assert len(arms) == 4 * 2 * 2
    assert set(arms["state"]) == {"complete"}
    assert (frame["phase"] == "search").sum() == 6
    # What an arm has run, the search does not run again.
    searched = frame[frame["phase"] == "search"]
    assert not set(searched["sequence"]) & {"mnli>qqp", "qqp>mnli"}
    # Finalists may come from an arm, so confirmation is on seeds that no arm had.
    assert set(frame.loc[frame["phase"] == "confirm", "seed"]) == {2, 3}


def test_arms_take_no_part_in_the_competition():
    """Ten arm sequences that beat all others promote nobody and hold nobody back."""

    def decisions(**content: Any) -> list[Any]:
        study = make_study("search.num_trials=8", "search.sampler=exhaustive", **content)
        coordinator = run(study)
        return [
            (str(r.proposal.sequence), r.proposal.target, r.status)
            for r in coordinator.records
            if r.proposal.phase == "search"
        ]

    arms = {"tuned": [["mnli#10"], ["qqp#10"], ["squad1#10"], ["mnli#10", "qqp#10"]]}
    assert decisions(arms=arms, arm_seeds=2) == decisions()


@pytest.mark.parametrize("objective", ["per_target", "average"])
@pytest.mark.parametrize("num_events", [0, 1, 7, 23])
def test_a_resumed_run_ends_as_an_uninterrupted_one(objective, num_events):
    study = make_study("search.num_trials=4", arms=ARMS, arm_seeds=2, objective=objective)
    whole = run(study)
    storage, executor = optuna.storages.InMemoryStorage(), Executor()
    first = make_coordinator(study, storage)
    assert not executor.drive(first, max_events=num_events)
    again = make_coordinator(study, storage)
    assert executor.drive(again)
    assert [o[1:6] for o in outcome(again)] == [o[1:6] for o in outcome(whole)]
    assert [r.proposal for r in again.records] == [r.proposal for r in whole.records]


def test_the_price_of_arms_is_exact():
    study = make_study(arms=ARMS, arm_seeds=2, search=ALONE)
    found = price(study, make_planner(study))
    assert found.trials == found.arm_trials == 4 * 2 * 2
    executor = Executor()
    coordinator = run(study, executor)
    spent = sum(record.steps_trained for record in coordinator.records)
    assert found.steps is not None
    # 8 stages and 16 fine-tunings of 36 steps each.
    assert found.steps.at_most == found.steps.arms == spent == 24 * 36


def test_the_price_of_arms_beside_baselines_counts_what_they_share_once():
    study = make_study(
        arms=ARMS, arm_seeds=[0], search={**ALONE, "baselines": True, "confirm": {"top": 0}}
    )
    planner: Planner = make_planner(study)
    found = price(study, planner)
    assert found.arm_trials == 2 * 2
    assert found.steps is not None
    # mnli>qqp and qqp>mnli on two targets; mnli and qqp alone are baselines.
    assert found.steps.arms == 2 * 36 + 4 * 36


def test_check_says_what_arms_come_to():
    def shown(**content: Any) -> str:
        study = make_study(arms=ARMS, arm_seeds=2, **content)
        console = Console(width=200, file=io.StringIO())
        console.print(render_price(study, price(study, make_planner(study))))
        file = console.file
        assert isinstance(file, io.StringIO)
        return " ".join(file.getvalue().split())

    alone = shown(search=ALONE)
    assert "arms 3, with 4 sequences in all, on 2 seeds this study 16 trials and 864 steps" in alone
    assert "ordered subsets" not in alone
    beside = shown()
    assert "ordered subsets of up to 2 of 3 tasks" in beside
    # Under the second seed all 8; under the first, the 4 that are no baselines.
    assert "of these 12 trials and" in beside
    assert beside.endswith("steps for the arms")
