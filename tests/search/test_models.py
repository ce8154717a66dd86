"""Several models in a run: who runs on which, who competes, and what a sampler gets to see."""

from __future__ import annotations

from typing import Any

import optuna
import pandas as pd
import pytest

from analysis.models import first_model
from analysis.observations import observations
from search.coordinator import Coordinator
from search.ledger import Ledger
from search.phases import planned
from search.pricing import price
from search.samplers import make_sampler
from search.tables import rows
from spaces.fingerprints import fingerprint
from spaces.model_axis import model_labels, study_of_model
from spaces.planner import Planner, TaskData
from spaces.study import Study
from tests.search.executor import RUN, Executor, make_study, outcome, virtual_clock
from trainables.preparation import study_streams

MODELS = {"small": {"name": "mini"}, "large": {"name": "mini", "training": {"max_steps": 72}}}
ARMS = {
    "none": [[]],
    "ordered": [["mnli", "qqp"]],
    "costly": {"sequences": [["qqp", "mnli"]], "models": ["large"]},
}


def study(*overrides: str, **content: Any) -> Study:
    chosen = {"models": MODELS, "arms": ARMS, "arm_seeds": 2, **content}
    return make_study(*overrides, model=None, **chosen)


def make_planner(found: Study) -> Planner:
    catalogue = found.catalogue()
    streams = study_streams(found)
    data = {str(stream): TaskData(100, f"data of {stream}") for stream in streams}
    tasks = {s.task: catalogue[s.task] for s in streams}
    first, *others = (
        Planner(study_of_model(found, label), tasks, data, f"base of {label}")
        for label in model_labels(found)
    )
    labels = model_labels(found)[1:]
    return Planner(first.study, tasks, data, first.base, dict(zip(labels, others, strict=True)))


def make_coordinator(found: Study, storage: Any = None) -> Coordinator:
    storage = storage or optuna.storages.InMemoryStorage()
    ledger = Ledger(found, storage, make_sampler(found), clock=virtual_clock())
    return Coordinator(found, make_planner(found), ledger, max_concurrent=1, run_id=RUN)


def run(found: Study, executor: Executor | None = None) -> Coordinator:
    coordinator = make_coordinator(found)
    assert (executor or Executor()).drive(coordinator)
    assert coordinator.is_finished
    return coordinator


def trials(coordinator: Coordinator) -> pd.DataFrame:
    return pd.DataFrame(rows(coordinator.records)["trials"])


def test_baselines_and_arms_are_planned_for_every_model_by_hand():
    found = study("search.num_trials=0", "search.baselines=true", "arm_seeds=[0]")
    mine = [p for p in planned(found) if p.target == "xnli"]
    assert [(p.phase, p.model, p.arm, str(p.sequence)) for p in mine] == [
        ("baseline", "small", "none", ""),
        ("baseline", "small", "", "mnli"),
        ("baseline", "small", "", "qqp"),
        ("baseline", "small", "", "squad1"),
        ("baseline", "small", "", "mnli+qqp+squad1"),
        ("baseline", "large", "none", ""),
        ("baseline", "large", "", "mnli"),
        ("baseline", "large", "", "qqp"),
        ("baseline", "large", "", "squad1"),
        ("baseline", "large", "", "mnli+qqp+squad1"),
        ("arm", "small", "ordered", "mnli>qqp"),
        ("arm", "large", "ordered", "mnli>qqp"),
        ("arm", "large", "costly", "qqp>mnli"),
    ]


def test_models_share_no_stage_and_each_trains_its_own_once():
    executor = Executor()
    found = study("search.num_trials=0", "search.baselines=false", "search.confirm.top=0")
    coordinator = run(found, executor)
    frame = trials(coordinator)
    # mnli, mnli>qqp on both models; qqp, qqp>mnli on the large one; two seeds.
    assert len(executor.trained) == len(set(executor.trained)) == (2 + 2 + 2) * 2
    by_model = frame.groupby("model")["sequence"].nunique()
    assert by_model.to_dict() == {"small": 2, "large": 3}
    stages = pd.DataFrame(rows(coordinator.records)["stages"])
    assert stages.groupby("model")["fingerprint"].nunique().to_dict() == {"small": 4, "large": 8}
    # The large model's own settings hold for it: 72 steps of fine-tuning in place of 36.
    empty = frame[frame["sequence"] == ""]
    assert set(empty.loc[empty["model"] == "small", "steps_trained"]) == {36}
    assert set(empty.loc[empty["model"] == "large", "steps_trained"]) == {72}


@pytest.mark.parametrize("objective", ["per_target", "average"])
@pytest.mark.parametrize("sampler", ["sequence", "random", "exhaustive"])
def test_the_search_is_what_it_would_be_on_the_first_model_alone(objective, sampler):
    """Trials of other models promote nobody and tell the sampler nothing."""

    def searched(**content: Any) -> list[Any]:
        frame = trials(
            run(
                study(
                    "search.num_trials=6",
                    f"search.sampler={sampler}",
                    objective=objective,
                    arms={},
                    **content,
                )
            )
        )
        chosen = frame[frame["phase"].isin(["search", "confirm"])]
        assert set(chosen["model"]) == {"small"}
        return sorted(zip(chosen["sequence"], chosen["target"], chosen["state"], strict=True))

    if sampler == "exhaustive":
        assert searched() == searched(models={"small": {"name": "mini"}})
    else:
        # Draws depend on the trial's number, which other models' baselines shift.
        assert len(searched()) == len(searched(models={"small": {"name": "mini"}}))


@pytest.mark.parametrize("num_events", [0, 3, 31])
def test_a_resumed_run_ends_as_an_uninterrupted_one(num_events):
    found = study("search.num_trials=3")
    whole = run(found)
    storage, executor = optuna.storages.InMemoryStorage(), Executor()
    assert not executor.drive(make_coordinator(found, storage), max_events=num_events)
    again = make_coordinator(found, storage)
    assert executor.drive(again)
    assert [o[1:6] for o in outcome(again)] == [o[1:6] for o in outcome(whole)]
    assert [r.proposal for r in again.records] == [r.proposal for r in whole.records]


def test_a_sampler_of_optunas_own_sees_no_parameters_of_other_models():
    coordinator = make_coordinator(study("search.sampler=tpe"))
    for trial in coordinator._ledger.optuna.get_trials(deepcopy=False):
        is_first = trial.user_attrs["model"] == "small"
        assert ("target" in trial.params) == is_first


def test_the_price_counts_every_model():
    found = study("search.num_trials=0", "search.baselines=false", "search.confirm.top=0")
    priced = price(found, make_planner(found))
    coordinator = run(found)
    assert priced.trials == len(coordinator.records) == (2 + 3) * 2 * 2
    assert priced.steps is not None
    spent = sum(record.steps_trained for record in coordinator.records)
    # Of a seed: 2 stages and 4 fine-tunings of 36 steps, 4 and 6 of 72.
    assert priced.steps.at_most == spent == 2 * (6 * 36 + 10 * 72)


def test_statistics_speak_of_the_first_model():
    frame = trials(run(study("search.num_trials=0", "search.baselines=false")))
    assert set(first_model(frame)["model"]) == {"small"}
    assert set(first_model(frame, {"models": {"large": {}, "small": {}}})["model"]) == {"large"}
    large = frame[frame["model"] == "large"]
    assert set(observations(large)["sequence"]) == {"", "mnli>qqp", "qqp>mnli"}
    found = observations(frame, "xnli").set_index(["sequence", "seed"])["score"]
    small = frame[(frame["model"] == "small") & (frame["target"] == "xnli")]
    expected = small.set_index(["sequence", "seed"])["score"]
    assert found.to_dict() == expected.to_dict()


def test_planners_of_two_models_give_other_fingerprints_and_labels():
    found = study()
    planner = make_planner(found)
    proposal = next(p for p in planned(found) if str(p.sequence) == "mnli>qqp")
    plans = [
        planner.plan(0, proposal.sequence, "xnli", seed=0, model=label)
        for label in ("small", "large")
    ]
    assert [plan.model for plan in plans] == ["small", "large"]
    assert [plan.base for plan in plans] == ["base of small", "base of large"]
    assert not {s.fingerprint for s in plans[0].stages} & {s.fingerprint for s in plans[1].stages}
    assert fingerprint({}) != plans[0].target_fingerprint != plans[1].target_fingerprint
