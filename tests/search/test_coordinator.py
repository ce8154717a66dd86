from __future__ import annotations

import math
import random
from typing import Any

import optuna
import pytest

from search.coordinator import MAX_REPEATS, Coordinator
from search.ledger import Ledger
from search.samplers.base import SequenceSampler
from spaces.sequences import Sequence
from spaces.study import Study
from tests.search.executor import (
    RUN,
    Executor,
    make_coordinator,
    make_planner,
    make_study,
    outcome,
    smooth_scores,
    virtual_clock,
)


def run(study: Study, executor: Executor | None = None, *, slots: int = 1) -> Coordinator:
    coordinator = make_coordinator(study, optuna.storages.InMemoryStorage(), slots=slots)
    assert (executor or Executor()).drive(coordinator)
    assert coordinator.is_finished
    return coordinator


def by_phase(coordinator: Coordinator, phase: str) -> list[Any]:
    return [record for record in coordinator.records if record.proposal.phase == phase]


def test_baselines_run_to_the_full_budget_on_every_target():
    coordinator = run(make_study())
    baselines = by_phase(coordinator, "baseline")
    sequences = ["", "mnli", "qqp", "squad1", "mnli+qqp+squad1"]
    assert [(str(r.proposal.sequence), r.proposal.target) for r in baselines] == [
        (sequence, target) for sequence in sequences for target in ("xnli", "udpos")
    ]
    assert {record.status for record in baselines} == {"complete"}
    assert all(len(record.rungs) == 3 for record in baselines)


def test_no_baselines_if_the_study_wants_none():
    coordinator = run(make_study("search.baselines=false", "search.confirm.top=0"))
    assert {record.proposal.phase for record in coordinator.records} == {"search"}


def test_the_search_prunes_some_and_completes_some():
    coordinator = run(make_study("search.num_trials=12"))
    searched = by_phase(coordinator, "search")
    states = {record.status for record in searched}
    assert states == {"complete", "pruned"}
    for record in searched:
        if record.status == "pruned":
            assert record.decisions[len(record.rungs) - 1] == "stop"
            assert len(record.rungs) < 3
        else:
            assert list(record.decisions.values()) == ["promote", "promote", "complete"]


def test_a_stage_is_trained_once_and_never_in_two_hands():
    executor = Executor(pick=random.Random(3).randrange)
    coordinator = run(make_study("search.num_trials=12"), executor, slots=4)
    assert executor.most_running == 4
    assert len(set(executor.trained)) == len(executor.trained)
    credited = [s.fingerprint for r in coordinator.records for s in r.stages if not s.reused]
    assert sorted(credited) == sorted(executor.trained)


def test_a_trial_whose_stage_is_in_other_hands_waits_without_a_slot():
    coordinator = make_coordinator(make_study(), optuna.storages.InMemoryStorage(), slots=20)
    started = []
    while (chosen := coordinator.select()) is not None:
        coordinator.start(chosen.record.number)
        started.append(chosen)
    names = [(p.plan.sequence, p.plan.target) for p in started]
    assert ("mnli", "xnli") in names
    assert ("mnli", "udpos") not in names
    held_up = next(
        record
        for record in coordinator.records
        if (str(record.proposal.sequence), record.proposal.target) == ("mnli", "udpos")
    )
    assert held_up.status == "waiting"
    assert Executor().drive(make_coordinator(make_study(), optuna.storages.InMemoryStorage()))


def test_a_held_up_trial_goes_on_when_the_stage_is_there():
    coordinator = make_coordinator(make_study(), optuna.storages.InMemoryStorage(), slots=20)
    while (chosen := coordinator.select()) is not None:
        coordinator.start(chosen.record.number)
    holder = next(p for p in map(coordinator.progress, range(10)) if p.plan.sequence == "mnli")
    Executor()._report(coordinator, holder.record.number)
    freed = coordinator.select()
    assert freed is not None
    assert (freed.plan.sequence, freed.plan.target) == ("mnli", "udpos")


def test_a_failed_trial_frees_the_stage_it_held():
    coordinator = make_coordinator(make_study(), optuna.storages.InMemoryStorage(), slots=20)
    while (chosen := coordinator.select()) is not None:
        coordinator.start(chosen.record.number)
    holder = next(p for p in map(coordinator.progress, range(10)) if p.plan.sequence == "mnli")
    coordinator.on_failure(holder.record.number, "its node was lost")
    freed = coordinator.select()
    assert freed is not None
    assert (freed.plan.sequence, freed.plan.target) == ("mnli", "udpos")
    assert holder.record.status == "failed"


@pytest.mark.parametrize("objective", ["per_target", "average"])
@pytest.mark.parametrize("bad_rung", [0, 1, 2])
def test_a_nan_score_survives_no_rung(bad_rung, objective):
    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        is_bad = sequence.startswith("qqp") and target == "xnli" and rung == bad_rung
        return math.nan if is_bad else smooth_scores(sequence, target, seed, rung)

    study = make_study("search.num_trials=30", objective=objective)
    coordinator = run(study, Executor(scores), slots=2)
    diverged = [r for r in coordinator.records if any(math.isnan(x.score) for x in r.rungs)]
    assert diverged
    for record in diverged:
        assert record.status == "failed"
        assert record.error == f"rung {bad_rung}: the score is NaN"
        assert len(record.rungs) == bad_rung + 1
        assert record.decisions[bad_rung] == "stop"


def test_a_failing_trial_is_noted_and_the_search_goes_on():
    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        if sequence == "qqp" and target == "udpos":
            raise ArithmeticError("TrainingError: the loss is NaN at step 3")
        return smooth_scores(sequence, target, seed, rung)

    coordinator = run(make_study(), Executor(scores))
    failed = [record for record in coordinator.records if record.status == "failed"]
    assert [(str(r.proposal.sequence), r.proposal.target) for r in failed] == [("qqp", "udpos")]
    assert failed[0].error == "TrainingError: the loss is NaN at step 3"
    assert failed[0].finished_at is not None
    assert len(by_phase(coordinator, "search")) == 10


def test_the_best_and_the_references_are_confirmed_on_fresh_seeds():
    coordinator = run(make_study())
    confirmed = by_phase(coordinator, "confirm")
    assert {record.proposal.seed for record in confirmed} == {1, 2}
    for target in ("xnli", "udpos"):
        done = [
            record
            for record in coordinator.records
            if record.status == "complete"
            and record.proposal.target == target
            and record.proposal.phase != "confirm"
            and len(record.proposal.sequence)
            and "+" not in str(record.proposal.sequence)
        ]
        best = max(done, key=lambda record: record.score)
        assert {str(r.proposal.sequence) for r in confirmed if r.proposal.target == target} == {
            "",
            "mnli+qqp+squad1",
            str(best.proposal.sequence),
        }
    assert all(record.status == "complete" and len(record.rungs) == 3 for record in confirmed)


def test_the_average_over_targets_is_one_competition_of_groups():
    coordinator = run(make_study("search.num_trials=18", objective="average"), slots=3)
    groups: dict[str, list[Any]] = {}
    for record in by_phase(coordinator, "search"):
        groups.setdefault(record.proposal.group, []).append(record)
    assert all([r.proposal.target for r in group] == ["xnli", "udpos"] for group in groups.values())
    assert all(len({record.status for record in group}) == 1 for group in groups.values())
    assert {group[0].status for group in groups.values()} == {"complete", "pruned"}
    finalists = {str(r.proposal.sequence) for r in by_phase(coordinator, "confirm")}
    assert len(finalists) == 3
    done = [group for group in groups.values() if group[0].status == "complete"]
    means = {str(g[0].proposal.sequence): sum(r.score for r in g) / 2 for g in done}
    singles: dict[str, list[float]] = {}
    for record in by_phase(coordinator, "baseline"):
        if len(record.proposal.sequence) == 1 and "+" not in str(record.proposal.sequence):
            singles.setdefault(str(record.proposal.sequence), []).append(record.score)
    means |= {name: sum(scores) / 2 for name, scores in singles.items()}
    assert max(means, key=means.__getitem__) in finalists


def test_a_target_without_training_shares_the_average_with_one_that_has_rungs():
    study = make_study("search.num_trials=18", objective="average", targets=["tatoeba", "xnli"])
    coordinator = run(study)
    trained = [r for r in by_phase(coordinator, "search") if r.proposal.target == "xnli"]
    assert {len(record.rungs) for record in trained} >= {1, 3}
    retrieval = [r for r in coordinator.records if r.proposal.target == "tatoeba"]
    assert {(record.status, len(record.rungs)) for record in retrieval} == {("complete", 1)}


def test_the_search_ends_when_the_space_is_exhausted():
    study = make_study("search.num_trials=500")
    coordinator = run(study)
    pairs = [(str(r.proposal.sequence), r.proposal.target) for r in by_phase(coordinator, "search")]
    assert len(set(pairs)) == len(pairs) == (study.space.size - 4) * 2


def test_without_trials_to_search_only_baselines_and_confirmation_run():
    coordinator = run(make_study("search.num_trials=0"))
    assert {record.proposal.phase for record in coordinator.records} == {"baseline", "confirm"}
    assert not by_phase(coordinator, "search")


def test_without_baselines_the_best_still_gets_its_full_budget():
    coordinator = run(
        make_study("search.num_trials=2", "search.baselines=false", "search.confirm.top=0")
    )
    searched = by_phase(coordinator, "search")
    assert {record.proposal.target for record in searched} == {"xnli", "udpos"}
    assert {record.status for record in searched} == {"complete"}


def test_without_asha_every_trial_gets_its_full_budget_at_once():
    coordinator = run(make_study("search.asha=null"))
    assert {record.status for record in coordinator.records} == {"complete"}
    assert {len(record.rungs) for record in coordinator.records} == {1}


def test_events_told_again_by_a_retried_trial_change_nothing():
    class Stuttering(Executor):
        """Tells every event twice, as a trial does that starts again from its first stage."""

        def _report(self, coordinator: Coordinator, number: int) -> str:
            progress = coordinator.progress(number)
            stages, rungs = list(progress.record.stages), list(progress.record.rungs)
            action = super()._report(coordinator, number)
            if action == "continue":
                if stages:
                    assert coordinator.on_stage(number, stages[0]) == "continue"
                if rungs:
                    old = {
                        name: getattr(rungs[0], name)
                        for name in (
                            "rung", "budget_steps", "score", "scores", "steps_trained", "wall_s"
                        )
                    }  # fmt: skip
                    assert coordinator.on_rung(number, old) == "continue"
            return action

    assert outcome(run(make_study(), Stuttering())) == outcome(run(make_study()))


def test_asking_whether_it_is_finished_changes_nothing():
    coordinator = make_coordinator(make_study(), optuna.storages.InMemoryStorage())
    executor = Executor()
    for _ in range(1000):
        before = outcome(coordinator)
        finished = coordinator.is_finished
        assert outcome(coordinator) == before
        if executor.drive(coordinator, max_events=1):
            break
        assert not finished
    assert coordinator.is_finished


def test_what_is_selected_and_not_started_is_selected_again():
    coordinator = make_coordinator(make_study(), optuna.storages.InMemoryStorage())
    assert not Executor().drive(coordinator, max_events=70)
    coordinator.suspend()
    chosen = coordinator.select()
    assert chosen is not None
    assert coordinator.select() is chosen


@pytest.mark.parametrize("sampler", ["random", "sequence", "tpe"])
@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_every_sampler_runs_with_hyperparameters_of_both_scopes(sampler, objective):
    study = make_study(
        f"search.sampler={sampler}",
        "search.num_trials=16",
        objective=objective,
        hyperparameters={
            "target.learning_rate": {"log_uniform": [1e-5, 1e-3]},
            "target.batch_size": {"int_uniform": [8, 16]},
            "stage.weight_decay": {"choice": [0.0, 0.01]},
            "stage.dropout": {"uniform": [0.0, 0.2]},
            "target.warmup_fraction": 0.2,
        },
    )
    coordinator = run(study, slots=2)
    searched = by_phase(coordinator, "search")
    assert len(searched) == 16
    for record in searched:
        values = record.proposal.hyperparameters
        assert set(values) == {
            "target.learning_rate", "target.batch_size", "stage.weight_decay", "stage.dropout"
        }  # fmt: skip
        plan = coordinator.progress(record.number).plan
        assert plan.target_settings.learning_rate == values["target.learning_rate"]
        assert plan.target_settings.warmup_fraction == 0.2
    assert len({record.proposal.key for record in searched}) == 16


class Insisting(SequenceSampler):
    """Asks for one candidate again and again."""

    def choose(self, study, asked, rng):
        return Sequence.of("mnli", "qqp"), "xnli"


@pytest.mark.parametrize("objective", ["per_target", "average"])
def test_a_paused_trial_that_is_asked_for_again_goes_on(objective):
    study = make_study("search.baselines=false", "search.confirm.top=0", objective=objective)
    storage = optuna.storages.InMemoryStorage()
    ledger = Ledger(study, storage, Insisting(study), clock=virtual_clock())
    coordinator = Coordinator(study, make_planner(study), ledger, max_concurrent=1, run_id=RUN)
    assert Executor().drive(coordinator)
    # One trial a target, paused twice and resumed twice; then the sampler has nothing new.
    for record in coordinator.records:
        assert record.status == "complete"
        assert record.decisions == {0: "promote", 1: "promote", 2: "complete"}
    assert len(coordinator.records) == (2 if objective == "average" else 1)
    trials = optuna.load_study(study_name=study.name, storage=storage).trials
    in_vain = [t.user_attrs["in_vain"] for t in trials if "repeats" in t.user_attrs]
    assert in_vain == [False] * 2 + [True] * MAX_REPEATS


def test_repeats_of_tpe_are_answered_from_the_record():
    study = make_study("search.sampler=tpe", "search.num_trials=18")
    storage = optuna.storages.InMemoryStorage()
    coordinator = make_coordinator(study, storage)
    assert Executor().drive(coordinator)
    keys = [record.proposal.key for record in coordinator.records]
    assert len(set(keys)) == len(keys)
    trials = optuna.load_study(study_name=study.name, storage=storage).trials
    repeats = [trial for trial in trials if "repeats" in trial.user_attrs]
    assert repeats
    for trial in repeats:
        original = coordinator.progress(trial.user_attrs["repeats"]).record
        if trial.state == optuna.trial.TrialState.COMPLETE:
            assert trial.value == original.score
        else:
            assert trial.state == optuna.trial.TrialState.FAIL
