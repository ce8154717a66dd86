from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from analysis import load_run, load_runs
from analysis.hyperparameters import HYPERPARAMETERS, hyperparameter_importance
from spaces.errors import RunDirectoryError, UnknownNameError
from tests.analysis.runs import STUDY, write_run

RATE, DECAY, BATCH = "target.learning_rate", "target.weight_decay", "stage.batch_size"
DECLARED = {
    RATE: {"log_uniform": [1e-6, 1e-4]},
    DECAY: {"uniform": [0.0, 0.1]},
    BATCH: {"choice": [16, 32]},
}


def trials(num=60, slope=6.0):
    """The score rises with the learning rate's logarithm, and a little with the decay."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(num):
        rate, decay = 10 ** rng.uniform(-6, -4), rng.uniform(0, 0.1)
        score = 50 + slope * (math.log10(rate) + 5) + 10 * decay + rng.normal(0, 0.2)
        rows.append(
            {
                "trial_id": number,
                "sequence": ("a", "b", "a>b")[number % 3],
                "score": score,
                f"hp.{RATE}": rate,
                f"hp.{DECAY}": decay,
                f"hp.{BATCH}": (16, 32)[number % 2],
            }
        )
    return [
        *rows,
        {"trial_id": num, "phase": "baseline", "score": 0.0},
        {**rows[0], "trial_id": num + 1, "state": "pruned"},
        {**rows[0], "trial_id": num + 2, "phase": "confirm", "seed": 1, "score": -500.0},
    ]


@pytest.fixture
def run(tmp_path):
    study = {**STUDY, "hyperparameters": DECLARED}
    return load_run(write_run(tmp_path / "run", study, trials=trials()))


@pytest.mark.parametrize("evaluator", ["fanova", "ped_anova"])
def test_what_moves_the_score_comes_first(run, evaluator):
    found = hyperparameter_importance(run, evaluator=evaluator, num_resamples=5)
    assert found["parameter"].iloc[0] == RATE
    assert found["importance"].iloc[0] > 0.8
    assert found["importance"].sum() == pytest.approx(1)
    assert set(found["num_trials"]) == {60}
    assert (found["importance_low"] <= found["importance_high"]).all()


def test_the_share_of_variance_is_found(tmp_path):
    # Variance of 0.5 log10(rate) is 1/12, of 10 decay also: each half, the noise of 0.2 apart.
    study = {**STUDY, "hyperparameters": DECLARED}
    run = load_run(write_run(tmp_path / "run", study, trials=trials(200, slope=0.5)))
    found = hyperparameter_importance(run, num_resamples=0).set_index("parameter")["importance"]
    assert found[RATE] == pytest.approx(0.5, abs=0.12)
    assert found[DECAY] == pytest.approx(0.5, abs=0.12)
    assert found[BATCH] < 0.1


def test_the_same_answer_each_time(run):
    first = hyperparameter_importance(run, num_resamples=2)
    assert first.equals(hyperparameter_importance(run, num_resamples=2))


def test_stages_may_count_as_parameters(run):
    found = hyperparameter_importance(run, stages=True, evaluator="ped_anova", num_resamples=2)
    assert {"stage_1", "stage_2"} <= set(found["parameter"])


def test_the_runs_storage_holds_the_same(tmp_path):
    # Few, for every trial is a transaction.
    rows = trials(20)
    study = {**STUDY, "hyperparameters": DECLARED}
    run = load_run(write_run(tmp_path / "run", study, trials=rows))
    storage = optuna.storages.get_storage(f"sqlite:///{run.path / 'optuna.db'}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=run.name, storage=storage, direction="maximize")
    distributions = {
        RATE: optuna.distributions.FloatDistribution(1e-6, 1e-4, log=True),
        DECAY: optuna.distributions.FloatDistribution(0.0, 0.1),
        BATCH: optuna.distributions.CategoricalDistribution([16, 32]),
        "target": optuna.distributions.CategoricalDistribution(["tags", "spans"]),
    }
    for row in rows:
        params = {n: row[f"hp.{n}"] for n in (RATE, DECAY, BATCH) if f"hp.{n}" in row}
        params["target"] = "tags"
        states = optuna.trial.TrialState
        pruned = row.get("state") == "pruned"
        study.add_trial(
            optuna.trial.create_trial(
                state=states.PRUNED if pruned else states.COMPLETE,
                params=params,
                distributions={name: distributions[name] for name in params},
                value=None if pruned else row["score"],
                user_attrs={
                    "sequence": row.get("sequence", ""),
                    "target": "tags",
                    "phase": row.get("phase", "search"),
                },
            )
        )
    repeat = optuna.trial.create_trial(value=99.0, user_attrs={"repeats": 3})
    study.add_trial(repeat)
    how = {"num_resamples": 2}
    from_storage = hyperparameter_importance(run, storage=True, **how)
    assert from_storage.equals(hyperparameter_importance(run, **how))
    with pytest.raises(RunDirectoryError, match="Leave out `storage`"):
        hyperparameter_importance(load_run(write_run(tmp_path / "none")), storage=True)


def test_nothing_searched_gives_a_typed_empty_frame(tmp_path):
    rows = [{"sequence": "a", "score": float(i), "trial_id": i} for i in range(9)]
    run = load_run(write_run(tmp_path / "run", trials=rows))
    found = hyperparameter_importance(run)
    assert found.empty
    assert list(found.columns) == [column.name for column in HYPERPARAMETERS]
    with pytest.raises(UnknownNameError, match="unknown target 'tagz'"):
        hyperparameter_importance(run, "tagz")
    same = [{**row, "score": 1.0, "hp.target.dropout": row["trial_id"] / 10} for row in rows]
    alike = load_run(write_run(tmp_path / "same", trials=same))
    assert hyperparameter_importance(alike).empty
    runs = load_runs({"x": tmp_path / "run", "y": tmp_path / "same"})
    assert hyperparameter_importance(runs).empty
