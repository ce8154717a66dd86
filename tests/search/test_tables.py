from __future__ import annotations

import math

import optuna
import pandas as pd
import pytest
import yaml

from analysis.frames import DTYPES, load_run
from search.tables import write_tables
from spaces.tables import TABLES
from tests.search.executor import Executor, make_coordinator, make_study, smooth_scores


@pytest.fixture
def coordinator():
    def scores(sequence: str, target: str, seed: int, rung: int) -> float:
        if sequence == "qqp" and target == "udpos":
            return math.nan
        return smooth_scores(sequence, target, seed, rung)

    study = make_study("hyperparameters.target.dropout={uniform: [0, 0.3]}")
    coordinator = make_coordinator(study, optuna.storages.InMemoryStorage())
    assert Executor(scores).drive(coordinator)
    return coordinator


def written(folder, coordinator):
    (folder / "study.yaml").write_text(yaml.safe_dump({"name": "synthetic"}), encoding="utf-8")
    write_tables(folder / "tables", coordinator.records)
    return load_run(folder)


def test_tables_load_with_the_declared_dtypes(tmp_path, coordinator):
    run = written(tmp_path, coordinator)
    for table, columns in TABLES.items():
        frame = getattr(run, table)
        assert len(frame)
        for column in columns:
            assert frame[column.name].dtype == DTYPES[column.kind], (table, column.name)
    assert not list((tmp_path / "tables").glob("*.tmp"))


def test_a_run_that_has_only_begun_loads_too(tmp_path):
    coordinator = make_coordinator(make_study(), optuna.storages.InMemoryStorage())
    run = written(tmp_path, coordinator)
    assert set(run.trials["state"]) == {"waiting"}
    assert run.trials["started_at"].isna().all()
    assert len(run.stages) == len(run.scores) == len(run.rungs) == 0


def test_rows_say_what_the_records_do(tmp_path, coordinator):
    run = written(tmp_path, coordinator)
    trials = run.trials.set_index("trial_id")
    for record in coordinator.records:
        row = trials.loc[record.number]
        assert row["sequence"] == str(record.proposal.sequence)
        assert row["num_stages"] == len(record.proposal.sequence)
        assert row["state"] == record.status
        assert row["rung"] == len(record.rungs) - 1
        assert row["finished_at"] > row["started_at"]
        assert (row["error"] != "") == (record.status == "failed")
        dropout = record.proposal.hyperparameters.get("target.dropout")
        assert row["hp.target.dropout"] == dropout or (
            pd.isna(row["hp.target.dropout"]) and dropout is None
        )
    assert len(run.rungs) == sum(len(record.rungs) for record in coordinator.records)
    seconds = run.rungs.groupby("trial_id")["wall_s"].sum()
    assert seconds.to_dict() == pytest.approx(trials["wall_s"].loc[seconds.index].to_dict())
    failed = run.rungs[run.rungs["score"].isna()]
    assert set(failed["decision"]) == {"stop"}


def test_stages_are_counted_once_by_fingerprint(tmp_path, coordinator):
    run = written(tmp_path, coordinator)
    assert run.stages["fingerprint"].is_unique
    assert set(run.stages["times_trained"]) == {1}
    assert set(run.stages["model"]) == set(run.trials["model"])
    reused = sum(s.reused for record in coordinator.records for s in record.stages)
    assert run.stages["times_reused"].sum() == reused > 0
    first = run.stages[~run.stages["sequence"].str.contains(">")]
    assert set(first["parent"]) == {""}
    steps = run.trials["steps_trained"].sum()
    targets = sum(r.steps_trained for record in coordinator.records for r in record.rungs)
    assert steps == run.stages["steps"].sum() + targets
